"""Wrong uses of the public surface: a type checker must report each, on its line.

The comment at the end of a line says what mypy and pyright report there; a line without one is
right. The test beside this file runs both and compares.
"""

from datetime import timedelta
from typing import Any

from ropeway import Job, RetryPolicy, Ropeway

app = Ropeway("memory://")
other = Ropeway(5)  # mypy: arg-type, pyright: reportArgumentType


@app.task
def add(x: int, y: int = 1) -> int:
    return x + y


@app.task(retries=5, timeout=timedelta(seconds=30))
async def resize(path: str, *, width: int = 320) -> str:
    return f"{path}@{width}"


# --- arguments: the task's own, and nothing else ----------------------------------------------

add("two")  # mypy: arg-type, pyright: reportArgumentType
add.send("two")  # mypy: arg-type, pyright: reportArgumentType
add.send()  # mypy: call-arg, pyright: reportCallIssue
add.send(1, 2, 3)  # mypy: call-arg, pyright: reportCallIssue
add.send(1, z=2)  # mypy: call-arg, pyright: reportCallIssue
add.send(1, queue="images")  # mypy: call-arg, pyright: reportCallIssue
add.call(None)  # mypy: arg-type, pyright: reportArgumentType
resize.send("a.png", 320)  # mypy: call-arg, pyright: reportCallIssue
resize.send("a.png", width="320")  # mypy: arg-type, pyright: reportArgumentType

# --- how it is sent -----------------------------------------------------------------------------

add.using(dealy=5)  # mypy: call-arg, pyright: reportCallIssue
add.using(queue=5)  # mypy: arg-type, pyright: reportArgumentType
add.using(at="tomorrow")  # mypy: arg-type, pyright: reportArgumentType
add.using(None)  # mypy: call-arg, pyright: reportCallIssue
add.using(queue="images").send("two")  # mypy: arg-type, pyright: reportArgumentType
add.using(queue="images")(1)  # mypy: operator, pyright: reportCallIssue

# --- results ------------------------------------------------------------------------------------

text: str = add(1)  # mypy: assignment, pyright: reportAssignmentType
number: int = add.send(1)  # mypy: assignment, pyright: reportAssignmentType
word: str = add.send(1).result()  # mypy: assignment, pyright: reportAssignmentType
path: str = resize("a.png")  # mypy: assignment, pyright: reportAssignmentType
job: Job[str] = add.send(1)  # mypy: assignment, pyright: reportAssignmentType
add.send(1).result("5s")  # mypy: arg-type, pyright: reportArgumentType
print(add.send(1).value)  # mypy: attr-defined, pyright: reportAttributeAccessIssue
add.apply_async(1)  # mypy: attr-defined, pyright: reportAttributeAccessIssue

# --- many at once: calls, not results -----------------------------------------------------------

app.send_many([add(1)])  # mypy: arg-type, pyright: reportArgumentType
app.send_many(add.call(1))  # mypy: arg-type, pyright: reportArgumentType
call = add.call(1)
jobs: list[Job[str]] = app.send_many([call])  # mypy: list-item, pyright: reportAssignmentType


# --- registering --------------------------------------------------------------------------------


@app.task(retires=5)  # mypy: call-overload untyped-decorator, pyright: reportCallIssue
def slip() -> None: ...


@app.task(retries="5")  # mypy: call-overload untyped-decorator, pyright: reportArgumentType
def text_for_a_count() -> None: ...


@app.task(queue=5)  # mypy: call-overload untyped-decorator, pyright: reportArgumentType
def number_for_a_name() -> None: ...


RetryPolicy(retries="5")  # mypy: arg-type, pyright: reportArgumentType
RetryPolicy(3)  # mypy: call-arg, pyright: reportCallIssue


# --- schedules ----------------------------------------------------------------------------------


@app.schedule("0 2 * * *")  # mypy: type-var, pyright: reportArgumentType
@app.task
def needs(x: int) -> None: ...


@app.task  # mypy: type-var
@app.schedule("0 2 * * *")  # pyright: reportArgumentType
def reversed_order() -> None: ...


app.schedule("0 2 * * *", overlap="maybe")  # mypy: arg-type, pyright: reportArgumentType
app.schedule(evry="5m")  # mypy: call-arg, pyright: reportCallIssue
app.schedules.add("x", add.call(1), at="tomorrow")  # mypy: arg-type, pyright: reportArgumentType
app.schedules.add("x", add)  # mypy: arg-type, pyright: reportArgumentType
app.schedules.run_now("x", 5)  # mypy: call-arg, pyright: reportCallIssue


# --- workflows ------------------------------------------------------------------------------------

wf = app.workflow("w")
wf.map(resize, [1])  # mypy: arg-type, pyright: reportCallIssue reportArgumentType
wf.add(add.call(wf.add(resize.call("a.png"))))  # mypy: arg-type, pyright: reportArgumentType
wf.signal("approved", "str")  # mypy: arg-type, pyright: reportArgumentType


# --- in coroutines ------------------------------------------------------------------------------


async def main() -> None:
    await add.send(1)  # mypy: misc, pyright: reportGeneralTypeIssues
    await resize.asend(5)  # mypy: arg-type, pyright: reportArgumentType
    no_job: Job[str] = resize.asend("a")  # mypy: assignment, pyright: reportAssignmentType
    length: int = await resize("a.png")  # mypy: assignment, pyright: reportAssignmentType
    print(no_job, length)
    resize("a.png")  # mypy: unused-coroutine, pyright: reportUnusedCoroutine
    resize.asend("a.png")  # mypy: unused-coroutine, pyright: reportUnusedCoroutine
    async with app.worker(queues="images") as worker:
        worker.stop(now="yes")  # mypy: arg-type, pyright: reportArgumentType
    with app.worker():  # mypy: attr-defined, pyright: reportGeneralTypeIssues
        pass


# --- tests of an app ----------------------------------------------------------------------------

with app.testing(start="2030-01-01") as sandbox:  # mypy: arg-type, pyright: reportArgumentType
    sandbox.assert_sent(add, "two")  # mypy: arg-type, pyright: reportArgumentType
    sandbox.assert_sent(add)  # mypy: call-arg, pyright: reportCallIssue
    sandbox.inject("kiled", into=add)  # mypy: arg-type, pyright: reportArgumentType
    sandbox.inject("killed", into="add")  # mypy: arg-type, pyright: reportArgumentType
    answer: Job[Any] = sandbox.run()  # mypy: assignment, pyright: reportAssignmentType
    sent: Job[str] = sandbox.sent(add)[0].job  # mypy: assignment, pyright: reportAssignmentType
