"""Command lines for copying, by topic; a test sees that every one of them can be read."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct


class Recipe(Struct, frozen=True):
    """What somebody wants, and the line to type."""

    says: str
    command: str


class Topic(Struct, frozen=True):
    """Recipes that belong together."""

    title: str
    recipes: Sequence[Recipe]


TOPICS = {
    "start": Topic(
        "From nothing to a result",
        (
            Recipe("write a project of three files", "ropeway new shop --template fastapi"),
            Recipe("work, and start anew on every save", "ropeway dev"),
            Recipe("send a call and wait for its result", "ropeway run greet Ada --wait"),
            Recipe("try a task here and now, without a worker", "ropeway run greet Ada --local"),
            Recipe("list the tasks of an app", "ropeway tasks ls -A shop.tasks"),
        ),
    ),
    "work": Topic(
        "Workers",
        (
            Recipe("serve all queues of an app", "ropeway worker shop.tasks"),
            Recipe(
                "serve some queues, with four children", "ropeway worker -Q 'mail.*' --children 4"
            ),
            Recipe("see who works at what", "ropeway workers ls"),
            Recipe(
                "have a worker finish and take nothing more", "ropeway workers quiet web1-4711-ab"
            ),
            Recipe("end it, when what runs has ended", "ropeway workers stop web1-4711-ab"),
            Recipe("see what it is in the middle of", "ropeway workers stack web1-4711-ab"),
        ),
    ),
    "stuck": Topic(
        "A job does not run, or waits too long",
        (
            Recipe("see what needs attention, and why", "ropeway status"),
            Recipe("ask why one job does not run", "ropeway jobs show 01k9f3"),
            Recipe("see how long queues are, and who paused them", "ropeway queues ls"),
            Recipe("see what waits in one, in its order", "ropeway queues peek mail"),
            Recipe("have a paused queue go on", "ropeway queues resume mail"),
            Recipe("see which limit holds jobs back", "ropeway limits ls"),
            Recipe("check this machine, the database and the app", "ropeway doctor"),
        ),
    ),
    "failed": Topic(
        "Jobs that failed",
        (
            Recipe("list those of the last hour", "ropeway jobs ls state:failed since:1h"),
            Recipe("group what is in quarantine by cause", "ropeway quarantine groups"),
            Recipe("read arguments, error and traceback of one", "ropeway jobs show 01k9f3"),
            Recipe(
                "see how many a retry would reach",
                "ropeway jobs retry --filter 'state:failed since:1h' --dry-run",
            ),
            Recipe(
                "retry them, ten a second",
                "ropeway jobs retry --filter 'state:failed since:1h' --rate 10/s --yes",
            ),
            Recipe(
                "run all of a queue's quarantine again",
                "ropeway quarantine retry --filter queue:mail",
            ),
            Recipe("say what an error code means", "ropeway explain RW-101"),
        ),
    ),
    "calm": Topic(
        "Hold work back",
        (
            Recipe(
                "have nobody claim from a queue",
                "ropeway queues pause mail --why 'gateway is down'",
            ),
            Recipe("wait until nothing of it runs", "ropeway queues drain mail"),
            Recipe("cancel one job", "ropeway jobs cancel 01k9f3"),
            Recipe("see how many jobs a purge would cancel", "ropeway queues purge mail --dry-run"),
            Recipe("pause a schedule", "ropeway schedules pause nightly"),
        ),
    ),
    "routing": Topic(
        "Exchanges and bindings",
        (
            Recipe("make a topic exchange", "ropeway exchanges declare orders --type topic"),
            Recipe("bind a queue to it", "ropeway queues bind mail orders 'order.*.paid'"),
            Recipe("see where a message would go, and why", "ropeway route orders order.eu.paid"),
            Recipe("keep it all in a file", "ropeway topology export"),
            Recipe(
                "see how the file differs from what is there", "ropeway topology diff topology.toml"
            ),
        ),
    ),
    "schedules": Topic(
        "Schedules",
        (
            Recipe("list them with their next times", "ropeway schedules ls"),
            Recipe("read an expression in words", "ropeway schedules explain '30 2 * * 1-5'"),
            Recipe("see the next times of one", "ropeway schedules next nightly"),
            Recipe("see what became of the last ones", "ropeway schedules history nightly"),
            Recipe("run it once, now", "ropeway schedules run nightly"),
        ),
    ),
    "topics": Topic(
        "Topics",
        (
            Recipe("publish an event", """ropeway topics publish orders '{"id": 1}'"""),
            Recipe("print events as they come", "ropeway topics tail orders"),
            Recipe("see how far subscriptions are behind", "ropeway topics subscriptions"),
        ),
    ),
    "watch": Topic(
        "Monitoring and scripts",
        (
            Recipe(
                "ring when a queue is old or nobody works",
                "ropeway check --min-workers 1 --max-age 5m --max-ready mail=500:1000",
            ),
            Recipe("write all figures for Prometheus", "ropeway check --format prometheus"),
            Recipe(
                "take ids and errors into a script",
                "ropeway jobs ls state:failed -o jsonl --fields id,error.type",
            ),
            Recipe("watch it all on one screen", "ropeway top"),
            Recipe("see who did what by hand", "ropeway audit --limit 20"),
            Recipe("open the dashboard", "ropeway dashboard"),
        ),
    ),
    "keep": Topic(
        "The database",
        (
            Recipe("copy an SQLite database while workers run", "ropeway backup jobs.copy"),
            Recipe("put the copy in its place", "ropeway restore jobs.copy"),
            Recipe("see which tables PostgreSQL has", "ropeway db status"),
            Recipe("bring them up to date", "ropeway db migrate"),
            Recipe("see the settings, and where each comes from", "ropeway config show"),
            Recipe(
                "give a place a name, without its password",
                "ropeway contexts add prod --url env:PROD_URL --protected",
            ),
            Recipe("look at it by that name", "ropeway -C prod status"),
            Recipe("measure how far away it is", "ropeway -C prod bench roundtrip --confirm prod"),
            Recipe("collect what helpers need, without secrets", "ropeway support-bundle"),
        ),
    ),
}
"""The topics by name, in the order in which somebody needs them."""
