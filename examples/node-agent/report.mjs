// What the agent reports. Upstream has a newer version of this file.

export class Report {
  constructor(title) {
    this.title = title;
  }

  lines(items) {
    return items.map((item, index) => `${index + 1}. ${item}`);
  }

  summary(items) {
    return `${this.title}: ${this.lines(items).join(', ')}`;
  }
}
