"""Names under which programs look for instructions or for code: nothing that came from elsewhere is saved under one.

One table; compared in small letters, because some disks do not tell small letters from large ones.
"""

from pathlib import PurePath

_OF_ASSISTANTS = (
    "agent.md agents.md agents.override.md claude.md claude.local.md codex.md conventions.md copilot-instructions.md "
    "crush.md gemini.md goosehints jules.md llms.txt memory.md mcp.json opencode.json opencode.jsonc qwen.md "
    "rules.md skill.md system.md warp.md"
)
_OF_BUILDS = (
    "brewfile build.gradle build.xml cargo.toml cmakelists.txt compose.yaml compose.yml composer.json conftest.py "
    "containerfile deno.json docker-compose.yaml docker-compose.yml dockerfile flake.nix gemfile gnumakefile "
    "go.mod gruntfile.js gulpfile.js jenkinsfile justfile makefile meson.build mise.toml noxfile.py package.json "
    "package-lock.json pipfile pnpm-workspace.yaml pom.xml procfile pyproject.toml pytest.ini rakefile "
    "requirements.txt setup.cfg setup.py shell.nix sitecustomize.py taskfile.yaml taskfile.yml tox.ini "
    "tsconfig.json turbo.json usercustomize.py vagrantfile"
)
_OF_SYSTEMS = "authorized_keys autorun.inf config crontab desktop.ini known_hosts profile.ps1"
NAMES = frozenset(f"{_OF_ASSISTANTS} {_OF_BUILDS} {_OF_SYSTEMS}".split())
"""Files."""
FOLDERS = frozenset("autostart bin sbin launchagents launchdaemons node_modules site-packages startup".split())
"""Folders whose files are run, besides all that begin with a dot."""
RUN = frozenset(
    ".app .apk .appimage .bash .bat .bundle .cgi .cmd .com .command .cpl .csh .deb .desktop .dll .dmg .dylib .exe "
    ".fish .hta .htm .html .inf .jar .js .jse .ksh .lnk .mjs .msc .msi .msp .php .pif .pkg .pl .plist .ps1 .psm1 .pth "
    ".py .pyc .pyw .rb .reg .rpm .run .scf .scpt .scr .service .sh .so .terminal .tool .url .vb .vbe .vbs .webloc "
    ".workflow .ws .wsf .wsh .xhtml .zsh".split()
)
"""Endings that a double click runs, or opens where scripts run."""


def is_folder(name: str) -> bool:
    """Whether programs look for instructions or code in folders of this name."""
    return name.startswith(".") or name.casefold() in FOLDERS


def is_file(name: str) -> bool:
    """Whether programs look for a file of this name, or would run it."""
    small = name.casefold()
    return small.startswith(".") or small in NAMES or PurePath(small).suffix in RUN


def harmless(stem: str, ending: str) -> str:
    """The name that is nearest to these two, and is neither looked for nor run."""
    ending = f"{ending}.txt" if PurePath(f"a{ending.casefold()}").suffix in RUN else ending
    name = f"{stem.lstrip('.')}{ending}"
    return f"file-{name}" if is_file(name) else name
