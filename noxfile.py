"""The checks, each in an environment of its own; and the benchmarks, on request.

`nox` runs all checks; `nox -s brf -- -k smoke` runs one and hands what follows `--` to pytest.
"""

from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv"

#: Libraries that the benchmark compares with. They agree with the root's torch and numpy, which uv
#: keeps: it reads the root's constraints.
PEERS = (
    "jax==0.10.2",
    "nir==1.0.8",
    "norse==1.1.0",
    "snntorch==1.0.0",
    "spikingjelly==2.0.0",
    "torchvision==0.28.0",
)
#: From before 1.0.6, which changed what a spike of its neurons does.
OLD_NIR = "nir==1.0.4"
PAPERS = sorted(path.parent.name for path in Path(__file__).parent.glob("papers/*/pyproject.toml"))


def sync(session: nox.Session, *arguments: str) -> None:
    """Fill the session's environment from the workspace, at the versions the root pins."""
    session.run_install(
        "uv",
        "sync",
        f"--python={session.virtualenv.location}",
        *arguments,
        env={"UV_PROJECT_ENVIRONMENT": session.virtualenv.location},
    )


def run_tests(session: nox.Session, package: str, folder: str) -> None:
    sync(session, "--package", package, "--group", "test")
    session.run("pytest", folder, *session.posargs)


@nox.session
def core(session: nox.Session) -> None:
    """The tests of the shared package."""
    run_tests(session, "core", "core/tests")


def add_paper(name: str) -> None:
    @nox.session(name=name)
    def paper(session: nox.Session) -> None:
        run_tests(session, name, f"papers/{name}/tests")

    paper.__doc__ = f"The tests and smoke runs of papers/{name}."


for name in PAPERS:
    add_paper(name)


@nox.session
def lint(session: nox.Session) -> None:
    """Style: ruff check and ruff format."""
    sync(session, "--only-group", "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Types: mypy over core and the papers."""
    sync(session, "--all-packages", "--group", "types")
    session.run("mypy", "core", "papers", *session.posargs)


@nox.session
def peers(session: nox.Session) -> None:
    """Neurons of other libraries beside ours: where the tests of `core.conventions` all run."""
    sync(session, "--package", "core", "--group", "test")
    install = ("uv", "pip", "install", f"--python={session.virtualenv.location}")
    tests = "core/tests/conventions"
    for packages, path in ((PEERS, tests), ((OLD_NIR,), f"{tests}/test_nir.py")):
        session.run_install(*install, *packages)
        session.run("pytest", path, *session.posargs, env={"SNN_PEERS": "1"})


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Benchmarks: not among the checks, because a shared machine decides how they end."""
    sync(session, "--package", "core")
    session.run_install("uv", "pip", "install", f"--python={session.virtualenv.location}", *PEERS)
    session.run("core", "bench", *session.posargs)


@nox.session(default=False)
def gpu(session: nox.Session) -> None:
    """The first minutes on a GPU: whether the kernels are right there, and how fast."""
    sync(session, "--package", "core")
    session.run("core", "gpu", *session.posargs)
