// The few Python programs that look at an environment from inside. Each is read from stdin, gets
// its questions as `data`, and gives its answer through `answer`. None of them changes anything.

/** What the environment is, and where a pip for it can be found. */
export const DESCRIBE = `
import glob, importlib.machinery, os, sys, sysconfig
paths = sysconfig.get_paths()

def find_pip():
    # The environment's own pip, else the one of the Python it was made from, else the wheel that venv itself installs.
    spec = importlib.machinery.PathFinder.find_spec("pip", [paths["purelib"]])
    if spec is not None and spec.origin:
        return {"kind": "own", "path": paths["purelib"]}
    base = {"base": sys.base_prefix, "platbase": sys.base_prefix}
    homes = [sysconfig.get_path("purelib", vars=base), os.path.join(sys.base_prefix, "lib", "python3", "dist-packages")]
    for home in homes:
        if os.path.isfile(os.path.join(home, "pip", "__pip-runner__.py")):
            return {"kind": "base", "path": home}
    bundled = [os.path.join(os.path.dirname(os.__file__), "ensurepip", "_bundled"), "/usr/share/python-wheels"]
    for folder in bundled:
        wheels = sorted(glob.glob(os.path.join(folder, "pip-*.whl")))
        if wheels:
            return {"kind": "wheel", "path": wheels[-1]}
    return None

answer({
    "version": ".".join(str(n) for n in sys.version_info[:3]),
    "prefix": sys.prefix,
    "basePrefix": sys.base_prefix,
    "purelib": paths["purelib"],
    "platlib": paths["platlib"],
    "scripts": paths["scripts"],
    "pip": find_pip(),
})
`;

/** Imports one module, or says that the project itself would provide it. */
export const IMPORT = `
import importlib, importlib.machinery, os, sys
module, directory = data["module"], data["directory"]
top = module.split(".")[0]
spec = importlib.machinery.PathFinder.find_spec(top, [directory]) if directory else None
if spec is not None and spec.origin not in (None, "namespace"):
    # Importing it would run the project's own program.
    answer({"own": spec.origin})
else:
    try:
        importlib.import_module(module)
        answer({"ok": True, "error": ""})
    except BaseException as error:
        answer({"ok": False, "error": type(error).__name__ + ": " + str(error)[:500]})
`;

/** Installed distributions with the names that can be imported from them. */
export const DISTRIBUTIONS = `
import importlib.metadata as metadata
found = []
for dist in metadata.distributions(path=data["paths"]):
    name = dist.metadata["Name"]
    if not name:
        continue
    modules = set()
    for line in (dist.read_text("top_level.txt") or "").split():
        modules.add(line)
    for file in dist.files or []:
        first = str(file).split("/")[0]
        if "/" in str(file) and first.isidentifier():
            modules.add(first)
        elif first.endswith(".py"):
            modules.add(first[:-3])
    found.append({"name": name, "version": dist.version or "", "modules": sorted(m for m in modules if m.isidentifier())})
answer(found)
`;

export const STANDARD = `
import importlib.machinery, sys, sysconfig
name = data["module"].split(".")[0]
known = set(sys.builtin_module_names) | set(getattr(sys, "stdlib_module_names", ()))
paths = [sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")]
answer(name in known or importlib.machinery.PathFinder.find_spec(name, paths) is not None)
`;

/** Top-level names that each source text really imports: parsed, never run. */
export const IMPORTS_OF = `
import ast
result = []
for text in data["texts"]:
    names = set()
    try:
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                names.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names.add(node.module)
                names.update(node.module + "." + alias.name for alias in node.names if alias.name != "*")
            elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                called = getattr(node.func, "attr", getattr(node.func, "id", ""))
                if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                    names.add(node.args[0].value)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        pass
    result.append(sorted(names))
answer(result)
`;

/** Evaluates environment markers for this interpreter. An unreadable marker counts as not holding. */
export const MARKERS = `
import sys
if data["pip"]:
    sys.path.insert(0, data["pip"])
from pip._vendor.packaging.markers import Marker
def holds(text):
    try:
        return Marker(text).evaluate({"extra": ""})
    except Exception:
        return False
answer([holds(text) for text in data["markers"]])
`;

/** Which installed distribution requires one of these names, and in which versions. */
export const REQUIRED_BY = `
import importlib.metadata as metadata, re, sys
if data["pip"]:
    sys.path.insert(0, data["pip"])
from pip._vendor.packaging.requirements import Requirement
if data["pip"]:
    sys.path.remove(data["pip"])
wanted, found = set(data["names"]), []
for dist in metadata.distributions():
    for text in dist.requires or []:
        try:
            requirement = Requirement(text)
            name = re.sub(r"[-_.]+", "-", requirement.name).lower()
            applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        except Exception:
            continue
        if name in wanted and applies and not requirement.url:
            found.append({"name": name, "constraint": str(requirement.specifier), "by": dist.metadata["Name"]})
answer(found)
`;

/**
 * Opens wheels as archives and compares them with what is installed: what they provide, what they would
 * overwrite, which of their requirements nothing satisfies, and which installed distribution they would break.
 */
export const INSPECT_WHEELS = `
import email.parser, hashlib, importlib.metadata as metadata, os, re, sys, zipfile
if data["pip"]:
    sys.path.insert(0, data["pip"])
from pip._vendor.packaging.requirements import Requirement
if data["pip"]:
    sys.path.remove(data["pip"])

MOST_FILES, MOST_BYTES, MOST_TEXT = 200000, 16 << 30, 4 << 20
STANDARD = set(getattr(sys, "stdlib_module_names", ())) | set(sys.builtin_module_names)
prefix, broken = data["prefix"], []

def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()

def below_prefix(path):
    path = os.path.normpath(path)
    return os.path.relpath(path, prefix) if path.startswith(prefix + os.sep) else None

def there(target):
    return os.path.lexists(os.path.join(prefix, target))

def hash_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return "sha256:" + digest.hexdigest()

def text_of(archive, name):
    try:
        info = archive.getinfo(name)
    except KeyError:
        return ""
    return archive.read(info).decode("utf-8", "replace") if info.file_size <= MOST_TEXT else ""

def names_of(archive):
    infos = [info for info in archive.infolist() if not info.is_dir()]
    if len(infos) > MOST_FILES or sum(info.file_size for info in infos) > MOST_BYTES:
        raise ValueError("it is too large to be looked into")
    for info in infos:
        name = info.filename
        if name.startswith("/") or ".." in name.split("/") or "\\\\" in name or "\\0" in name:
            raise ValueError("it holds a path that leaves its folder")
    return [info.filename for info in infos]

def placed(names):
    # Where the installer puts each file: below site-packages, or as a command.
    site, scripts = [], set()
    for name in names:
        parts = name.split("/")
        if not parts[0].endswith(".data"):
            site.append(name)
        elif parts[1] in ("purelib", "platlib"):
            site.append("/".join(parts[2:]))
        elif parts[1] == "scripts":
            scripts.add(parts[-1])
    return site, scripts

def commands_of(text):
    section = ""
    for line in text.splitlines():
        if line.strip().startswith("["):
            section = line.strip()
        elif section in ("[console_scripts]", "[gui_scripts]") and "=" in line:
            yield line.split("=")[0].strip()

def modules_of(site):
    packages = {path.split("/")[0] for path in site if "/" in path}
    plain = {re.sub(r"(\\.cpython-[^.]+|\\.abi3)?\\.(py|so|pyd)$", "", path): path for path in site if "/" not in path}
    files = {name for name, path in plain.items() if name != path and name.isidentifier()}
    return {name for name in packages if name.isidentifier()}, files

def look(path):
    with zipfile.ZipFile(path) as archive:
        names = names_of(archive)
        folders = {name.split("/")[0] for name in names if name.split("/")[0].endswith(".dist-info")}
        if len(folders) != 1:
            raise ValueError("it has not exactly one dist-info folder")
        info = folders.pop()
        meta = email.parser.HeaderParser().parsestr(text_of(archive, info + "/METADATA"))
        commands = list(commands_of(text_of(archive, info + "/entry_points.txt")))
    site, scripts = placed(names)
    packages, files = modules_of(site)
    return {
        "file": os.path.basename(path), "hash": hash_of(path), "name": meta["Name"] or "", "version": meta["Version"] or "",
        "requires": meta.get_all("Requires-Dist") or [], "modules": sorted(packages | files),
        "scripts": sorted(scripts | set(commands)),
        "site": site, "packages": packages, "plain": files,
    }

def concerns_of(wheel):
    for path in wheel["site"]:
        if "/" not in path and path.endswith(".pth"):
            yield path + " runs at every start of Python"
    for name in wheel["modules"]:
        if name in ("sitecustomize", "usercustomize"):
            yield name + " runs at every start of Python"
        elif name in STANDARD:
            yield "it brings a module named like the standard library's " + name
    for script in wheel["scripts"]:
        if any(os.path.lexists(os.path.join(folder, script)) for folder in data["commands"]):
            yield "its command " + script + " is also one of the system"

def overwrites_of(wheel, leaving):
    # A file that is there already, and a package that would hide a module of the same name, or the reverse.
    targets = [os.path.join(data["purelib"], path) for path in wheel["site"]]
    targets += [os.path.join(data["scripts"], script) for script in wheel["scripts"]]
    targets += [os.path.join(data["purelib"], name + ".py") for name in wheel["packages"]]
    hidden = [os.path.join(data["purelib"], name) for name in wheel["plain"]]
    for target in map(below_prefix, targets):
        if target is None or (there(target) and target not in leaving):
            yield str(target)
    for target in map(below_prefix, hidden):
        if there(target) and not any(path.startswith(target + "/") for path in leaving):
            yield target

def files_of(dist):
    # Only what lies inside the environment: a system package that shows through is nobody's to touch.
    found = (below_prefix(str(dist.locate_file(str(file)))) for file in dist.files or [])
    return sorted({path for path in found if path is not None and there(path)})

def requirements_of(texts, owner):
    for text in texts:
        try:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                yield normal(requirement.name), requirement
        except Exception:
            broken.append(owner + ": unreadable requirement " + text[:100])

here = {}
for dist in metadata.distributions():
    if dist.metadata["Name"]:
        here.setdefault(normal(dist.metadata["Name"]), dist)

wheels = []
for file in sorted(os.listdir(data["folder"])):
    if file.endswith(".whl"):
        try:
            wheels.append(look(os.path.join(data["folder"], file)))
        except Exception as error:
            broken.append(file + ": " + str(error)[:300])
coming = {normal(wheel["name"]): wheel for wheel in wheels}

unsatisfied, breaks = {}, []
for wheel in wheels:
    for name, requirement in requirements_of(wheel["requires"], wheel["file"]):
        version = coming[name]["version"] if name in coming else here[name].version if name in here else None
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            entry = unsatisfied.setdefault(name, {"name": requirement.name, "by": wheel["name"], "clash": name in coming, "ranges": []})
            entry["ranges"].append(str(requirement.specifier))
            entry["clash"] = entry["clash"] or bool(requirement.url)
unreadable = len(broken)
for name, dist in here.items():
    for target, requirement in [] if name in coming else requirements_of(dist.requires or [], name):
        if target in coming and target in here and requirement.specifier.contains(here[target].version, prereleases=True):
            if not requirement.specifier.contains(coming[target]["version"], prereleases=True):
                breaks.append(dist.metadata["Name"] + " needs " + str(requirement))
del broken[unreadable:]

leaving = {name: files_of(here[name]) if name in here else [] for name in coming}
every = {path for files in leaving.values() for path in files}
answer({
    "wheels": [{
        "file": wheel["file"], "name": wheel["name"], "version": wheel["version"], "hash": wheel["hash"],
        "modules": wheel["modules"], "concerns": list(concerns_of(wheel)), "overwrites": list(overwrites_of(wheel, every))[:20],
        "replaces": here[name].version if leaving[name] else None, "leaving": leaving[name],
    } for name, wheel in coming.items()],
    "broken": broken, "unsatisfied": list(unsatisfied.values()), "breaks": breaks,
})
`;
