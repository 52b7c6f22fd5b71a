"""What the agent reports. Upstream has a newer version of this file."""


class Report:
    def __init__(self, title: str) -> None:
        self.title = title

    def lines(self, items: list) -> list:
        return [f"{number}. {item}" for number, item in enumerate(items, 1)]

    def summary(self, items: list) -> str:
        return f"{self.title}: " + ", ".join(self.lines(items))
