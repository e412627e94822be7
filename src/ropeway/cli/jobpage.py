"""The page that `ropeway jobs show` prints of one job."""

from __future__ import annotations

from ropeway.cli.output import to_json
from ropeway.codec import Undecodable
from ropeway.matching import ran, view, waited
from ropeway.message import JobRecord
from ropeway.operate import job as jobs
from ropeway.progress import Progress
from ropeway.states import State
from ropeway.why import Why
from ropeway.words import date, duration, relative


def page(job: JobRecord, now: float, answer: Why, progress: Progress | None = None) -> str:
    """Write the sections: the job and why it is not running, times, arguments, result and error."""
    parts = [
        _head(job, now, answer, progress),
        _times(job, now),
        _section("Arguments", _arguments(job)),
    ]
    if job.state is State.SUCCEEDED:
        parts.append(_section("Result", _result(job)))
    if job.error:
        text = job.error.traceback.rstrip() or jobs.error_line(job)
        last = "Error" if job.state.final else "Error of the last attempt"
        cause = f" (cause {job.error.fingerprint})" if job.error.fingerprint else ""
        parts.append(_section(last + cause, text))
    return "\n\n".join(parts)


def _head(job: JobRecord, now: float, answer: Why, progress: Progress | None) -> str:
    message = job.message
    lines = {
        "job": message.id,
        "task": message.task,
        "state": f"{view(job, now)}: {answer.says}",
    }
    if answer.besides:
        lines["besides"] = "; ".join(each.says for each in answer.besides)
    if answer.command:
        lines["next"] = answer.command
    lines |= {
        "queue": f"{message.queue}, priority {message.band}",
        "attempts": _attempts(job),
    }
    if progress is not None:
        lines["progress"] = jobs.progress_line(progress)
    if message.key is not None:
        lines["key"] = message.key
    if message.limits:
        lines["limits"] = ", ".join(message.limits)
    if message.terms is not None and message.terms.tags:
        lines["tags"] = ", ".join(message.terms.tags)
    if message.headers:
        lines["headers"] = ", ".join(f"{name}={value}" for name, value in message.headers.items())
    return "\n".join(f"{name:<9} {text}" for name, text in lines.items())


def _attempts(job: JobRecord) -> str:
    told = f"{job.failures} failed, {job.losses} lost with a worker, {job.releases} given back"
    ended = job.failures + job.losses + job.releases
    # The one that runs, or that ended well, is charged to nothing; the rest was abandoned.
    abandoned = job.attempt - ended - (job.state in (State.RUNNING, State.SUCCEEDED))
    if abandoned > 0 and job.state in (State.QUEUED, State.RUNNING, State.SUCCEEDED):
        told += f", {abandoned} abandoned"
    return f"{job.attempt} ({told})"


def _times(job: JobRecord, now: float) -> str:
    instants = {"sent": job.enqueued, "due": job.due, "started": job.started}
    lines = [
        f"{name:<9} {date(instant)}  {relative(now - instant)}"
        for name, instant in {**instants, "finished": job.finished}.items()
        if instant is not None
    ]
    wait = waited(job, now)
    if wait is not None and wait >= 0:
        lines.append(f"{'waited':<9} {duration(wait)}")
    if (took := ran(job, now)) is not None:
        lines.append(f"{'ran':<9} {duration(took)}")
    return _section("Times", "\n".join(lines))


def _result(job: JobRecord) -> str:
    apart = jobs.apart(job.value)
    if apart is None:
        return to_json(jobs.result(job), pretty=True)
    return f"{apart}\nall of it: ropeway jobs result {job.message.id}"


def _arguments(job: JobRecord) -> str:
    apart = jobs.apart(job.message.body)
    if apart is not None:
        return f"{apart}\nall of them: ropeway quarantine show --raw {job.message.id} > FILE"
    found = jobs.arguments(job)
    if isinstance(found, Undecodable):
        start = jobs.beginning(job.message.body[:200])
        return f"cannot be read: {found.reason}\nthey begin: {start}"
    return to_json(found, pretty=True)


def _section(title: str, text: str) -> str:
    body = "\n".join(f"  {line}" for line in text.splitlines())
    return f"{title}\n{body}"
