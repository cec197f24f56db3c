"""Real bare git repositories on disk, worked on by git itself: what REST makes and what git pushes is one repository."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

NO_COMMIT = "0" * 40
EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a tree.

    Attributes:
        path: relative to the tree that was asked for.
        mode: six digits, such as ``100644``.
        kind: blob, tree or commit.
        sha: the object's.
        size: in bytes; None of what is no blob.
    """

    path: str
    mode: str
    kind: str
    sha: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """Who has made a commit, and when; the time needs a time zone."""

    name: str
    email: str
    at: datetime


@dataclass(frozen=True, slots=True)
class CommitObject:
    """A commit as git has it."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    author: Person
    committer: Person
    message: str


class GitError(Exception):
    """Git has said no; the text is what it said."""


class GitRepository:
    """A bare repository. Every method starts git, so any number of threads and pushes may work on it at once."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def git(self, *arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> bytes:
        """Run git in the repository and return what it prints; raises GitError."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            input=stdin,
            capture_output=True,
            env=git_environment(self.path.parent, env or {}),
            check=False,
        )
        if done.returncode:
            raise GitError(done.stderr.decode(errors="replace").strip() or f"git {arguments[0]}: {done.returncode}")
        return done.stdout

    def _text(self, *arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> str:
        return self.git(*arguments, stdin=stdin, env=env).decode(errors="surrogateescape").strip()

    # Refs

    @property
    def default_branch(self) -> str:
        """The branch that HEAD names, whether it exists or not."""
        return self._text("symbolic-ref", "HEAD").removeprefix("refs/heads/")

    def set_default_branch(self, name: str) -> None:
        self.git("symbolic-ref", "HEAD", f"refs/heads/{name}")

    def refs(self, prefix: str = "refs/") -> dict[str, str]:
        """Every ref below a prefix, with its full name, and the object that it is at."""
        lines = self._text("for-each-ref", "--format=%(objectname) %(refname)", prefix).splitlines()
        return {name: sha for sha, _, name in (line.partition(" ") for line in lines)}

    def branches(self) -> dict[str, str]:
        """Every branch by its short name, and its commit."""
        return {name.removeprefix("refs/heads/"): sha for name, sha in self.refs("refs/heads/").items()}

    def head(self, branch: str) -> str | None:
        """The commit of a branch."""
        return self.ref(f"refs/heads/{branch}")

    def ref(self, name: str) -> str | None:
        """The object of a ref by its full name."""
        try:
            return self._text("show-ref", "--verify", "--hash", "--", name)
        except GitError:
            return None

    def is_empty(self) -> bool:
        """Whether it has no ref at all."""
        return not self.refs()

    def set_ref(self, name: str, new: str, old: str | None = None) -> bool:
        """Move a ref, or make it.

        Args:
            name: its full name.
            new: the object that it shall be at.
            old: where it has to be before, ``NO_COMMIT`` for nowhere; None asks for nothing.

        Returns:
            False when it was elsewhere.
        """
        try:
            self.git("update-ref", name, new, *([] if old is None else [old]))
        except GitError as error:
            if "cannot lock ref" not in str(error):
                raise
            return False
        return True

    def delete_ref(self, name: str) -> None:
        self.git("update-ref", "-d", name)

    # Objects

    def kind(self, sha: str) -> str | None:
        """What an object is: blob, tree, commit or tag; None when it is not there."""
        with suppress(GitError):
            return self._text("cat-file", "-t", sha)
        return None

    def resolve(self, name: str) -> str | None:
        """The commit that a branch, a tag or a full or short SHA means, in this order."""
        for candidate in (f"refs/heads/{name}", f"refs/tags/{name}", name):
            with suppress(GitError):
                return self._text("rev-parse", "--verify", "--quiet", f"{candidate}^{{commit}}")
        return None

    def write_blob(self, content: bytes) -> str:
        return self._text("hash-object", "-w", "--stdin", stdin=content)

    def write_blobs(self, contents: Sequence[bytes]) -> list[str]:
        """Write many at once; returns their SHAs in the same order."""
        if not contents:
            return []
        orders = [
            b"blob\nmark :%d\ndata %d\n%s\nget-mark :%d\n" % (mark, len(content), content, mark)
            for mark, content in enumerate(contents, 1)
        ]
        return self._text("fast-import", "--quiet", stdin=b"".join(orders)).split()

    def read_blob(self, sha: str) -> bytes:
        return self.git("cat-file", "blob", sha)

    def read_blobs(self, shas: Sequence[str]) -> list[bytes]:
        """Read many at once."""
        out, at, found = self.git("cat-file", "--batch", stdin="\n".join(shas).encode()), 0, []
        for _ in shas:
            head, _, _ = out[at : at + 200].partition(b"\n")
            at += len(head) + 1
            size = int(head.split()[2])
            found.append(out[at : at + size])
            at += size + 1
        return found

    def write_tree(self, entries: Sequence[Entry], base: str | None = None) -> str:
        """Write a tree of entries whose paths may have folders.

        Args:
            entries: ``sha`` empty takes the path away. An entry may itself be a tree.
            base: the tree that they are laid over.
        """
        with tempfile.TemporaryDirectory(dir=self.path) as folder:
            env = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            self.git("read-tree", *([base] if base else ["--empty"]), env=env)
            lines = []
            for entry in entries:
                if entry.kind == "tree" or not entry.sha:
                    self.git("rm", "--cached", "-r", "-q", "--ignore-unmatch", "--", entry.path, env=env)
                if entry.kind == "tree" and entry.sha:
                    self.git("read-tree", f"--prefix={entry.path}/", entry.sha, env=env)
                elif entry.sha:
                    lines.append(f"{entry.mode} {entry.sha}\t{entry.path}\0")
            self.git("update-index", "--add", "--replace", "-z", "--index-info", stdin="".join(lines).encode(), env=env)
            return self._text("write-tree", env=env)

    def entries(self, tree: str, *, recursive: bool, path: str = "") -> list[Entry]:
        """The entries of a tree or a commit's tree, folders among them, in git's order; raises GitError.

        Args:
            tree: its SHA, or a commit's.
            recursive: whether what lies in folders is there, too.
            path: the folder of it that is meant.
        """
        options = ["-r", "-t"] if recursive else []
        out = self.git("ls-tree", "-z", "-l", *options, f"{tree}:{path}" if path else tree)
        found = []
        for line in out.decode(errors="surrogateescape").split("\0")[:-1]:
            head, _, name = line.partition("\t")
            mode, kind, sha, size = head.split()
            found.append(Entry(name, mode, kind, sha, None if size == "-" else int(size)))
        return found

    def entry(self, tree: str, path: str) -> Entry | None:
        """The entry at a path of a tree or a commit's tree."""
        folder, _, name = path.rpartition("/")
        with suppress(GitError):
            return next((one for one in self.entries(tree, recursive=False, path=folder) if one.path == name), None)
        return None

    def write_commit(
        self, tree: str, parents: Sequence[str], message: str, *, author: Person, committer: Person | None = None
    ) -> str:
        committer = committer or author
        env = {
            "GIT_AUTHOR_NAME": author.name,
            "GIT_AUTHOR_EMAIL": author.email,
            "GIT_AUTHOR_DATE": author.at.isoformat(),
            "GIT_COMMITTER_NAME": committer.name,
            "GIT_COMMITTER_EMAIL": committer.email,
            "GIT_COMMITTER_DATE": committer.at.isoformat(),
        }
        options = [word for parent in parents for word in ("-p", parent)]
        return self._text("commit-tree", *options, tree, stdin=message.encode(), env=env)

    def commit(self, sha: str) -> CommitObject:
        """Read a commit; raises GitError when there is none."""
        return self._log("--no-walk", f"{sha}^{{commit}}")[0]

    def history(self, start: str, without: str | None = None) -> list[CommitObject]:
        """The commits from one backwards, latest first.

        Args:
            start: a branch or a commit.
            without: leave out what this one has.
        """
        return self._log("--topo-order", start, *([f"^{without}"] if without else []))

    def _log(self, *arguments: str) -> list[CommitObject]:
        fields = "%H%x00%T%x00%P%x00%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%B%x00%x00"
        out = self.git("log", f"--format=tformat:{fields}", *arguments, "--").decode(errors="replace")
        found = []
        for record in out.split("\0\0\n")[:-1]:
            sha, tree, parents, name, email, at, c_name, c_email, c_at, message = record.split("\0")
            author = Person(name, email, datetime.fromisoformat(at))
            committer = Person(c_name, c_email, datetime.fromisoformat(c_at))
            found.append(CommitObject(sha, tree, tuple(parents.split()), author, committer, message.rstrip("\n")))
        return found

    def is_ancestor(self, older: str, younger: str) -> bool:
        """Whether a commit has another one in its history; each has itself."""
        try:
            self.git("merge-base", "--is-ancestor", older, younger)
        except GitError:
            return False
        return True

    def merge_base(self, one: str, other: str) -> str | None:
        """The commit that two have in common; None when their histories never met."""
        try:
            return self._text("merge-base", one, other)
        except GitError:
            return None

    def merged_tree(self, one: str, other: str) -> str | None:
        """The tree of a merge of two commits; None when they are in conflict."""
        try:
            return self._text("merge-tree", "--write-tree", one, other).splitlines()[0]
        except GitError:
            return None

    def changed_files(self, old: str, new: str) -> list[str]:
        """The paths that differ between two commits or trees."""
        return [path for path in self._text("diff-tree", "-r", "-z", "--name-only", old, new).split("\0") if path]

    # For tests

    def files(self, branch: str) -> dict[str, bytes]:
        """Every file of a branch and its content."""
        commit = self.head(branch)
        if commit is None:
            return {}
        found = [one for one in self.entries(commit, recursive=True) if one.kind == "blob"]
        return dict(zip((one.path for one in found), self.read_blobs([one.sha for one in found]), strict=True))


class GitStore:
    """The folder with all repositories of a double. Their names there are ids, which outlive every rename."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def create(self, name: str, default_branch: str) -> GitRepository:
        """Make an empty repository, whose HEAD names a branch that does not exist yet."""
        repository = self.open(name)
        repository.path.mkdir()
        repository.git("init", "--quiet", "--bare", "--template=", f"--initial-branch={default_branch}")
        return repository

    def open(self, name: str) -> GitRepository:
        return GitRepository(self.folder / f"{name}.git")


def git_environment(home: Path, further: Mapping[str, str]) -> dict[str, str]:
    """The environment that git runs in: nobody's configuration, and messages in English."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "LC_ALL": "C",
        **{name: os.environ[name] for name in ("STARTED_BY", "TMPDIR") if name in os.environ},
        **further,
    }
