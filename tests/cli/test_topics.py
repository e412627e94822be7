"""Topics in a shell: seen, followed, published to, and moved."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from ropeway import Ropeway
from tests.cli.support import call


class Liked(Struct):
    """Somebody likes a photo."""

    user: int


@pytest.fixture
def app(here: Path) -> Ropeway:
    """Return an app with a topic in force, and events in it."""
    app = Ropeway(f"sqlite:///{here / '.ropeway' / 'ropeway.db'}")
    liked = app.topic("photo.liked", Liked)

    @liked.subscribe("notify")
    async def notify(event: Liked) -> None: ...

    app.topics.declare()
    liked.publish_many(Liked(user=user) for user in range(1, 6))
    return app


def told(*words: str) -> Any:
    """Run a command, and return what it prints as JSON."""
    found = call("topics", *words, "-o", "json")
    assert found.exit_code == 0, found.output
    return json.loads(found.stdout)


def test_topics_and_their_events_are_listed(app: Ropeway) -> None:
    """With how much is kept, and how far subscriptions are behind."""
    (topic,) = told("ls")
    assert (topic["topic"], topic["events"], topic["subscriptions"]) == ("photo.liked", 5, 1)
    assert told("ls", "video.#") == []
    shown = told("show", "photo.liked", "-n", "2")
    assert [(each["offset"], each["data"]) for each in shown] == [
        (4, {"user": 4}),
        (5, {"user": 5}),
    ]
    (standing,) = told("subscriptions")
    assert (standing["subscription"], standing["lag"]) == ("photo.liked/notify", 5)
    assert call("topics", "ls").stdout.startswith("photo.liked\t5\t")
    assert "photo.liked/notify\tphoto.liked\t0\t5\t" in call("topics", "subscriptions").stdout
    assert call("topics", "show", "photo.disliked").exit_code == 6


def test_exchanges_that_feed_a_topic_or_are_fed_are_told(app: Ropeway) -> None:
    """As long as they are bound; a topic that is removed is bound to none."""
    likes, others = app.exchange("likes", "topic"), app.exchange("others", "fanout")
    liked = app.topics.declared["photo.liked"]
    likes.bind(liked, "like.#")
    liked.bind(others)
    app.exchanges.declare()
    app.topics.declare()
    shown = call("topics", "show", "photo.liked").stderr
    assert "likes -[like.#]-> photo.liked" in shown
    assert "photo.liked -[photo.liked]-> others" in shown
    assert told("ls")[0]["bindings"] == ["likes like.#"]
    assert [each["exchange"] for each in told("subscriptions")] == [None, "others"]
    assert call("topics", "unsubscribe", "photo.liked/others", "--yes").exit_code == 0
    assert "others" not in call("topics", "show", "photo.liked").stderr
    assert call("topics", "rm", "photo.liked", "--yes").exit_code == 0
    assert app.exchanges.ls().bindings == []


def test_events_are_followed(app: Ropeway, here: Path) -> None:
    """From any place, those that are there or also those that come."""
    lines = call("topics", "tail", "photo.*", "--from", "4").stdout.splitlines()
    assert [line.split("\t")[-1] for line in lines] == ['{"user": 4}', '{"user": 5}']
    command = [sys.executable, "-m", "ropeway", "topics", "tail", "photo.liked", "-f", "--json"]
    with subprocess.Popen([*command, "--from", "5", "-n", "2"], stdout=subprocess.PIPE) as follower:
        assert follower.stdout is not None
        assert json.loads(follower.stdout.readline())["offset"] == 5
        published = told("publish", "photo.liked", '{"user": 6}', "--key", "k", "-H", "a=b")
        line = json.loads(follower.stdout.readline())
        assert (line["offset"], line["key"], line["headers"]) == (6, "k", {"a": "b"})
        assert line["id"] == published["id"]
        assert follower.wait(10) == 0


def test_a_subscription_is_moved_and_replayed_by_hand(app: Ropeway) -> None:
    """What would happen is counted first; what was done is on record."""
    task = "photo.liked/notify"
    assert told("replay", task, "--since", "2", "--dry-run")["events"] == 4
    assert call("topics", "replay", task, "--since", "2").exit_code == 3
    assert told("replay", task, "--since", "2", "--until", "4", "--yes")["events"] == 2
    assert told("skip", task, "--to", "4", "--yes")["events"] == 3
    assert told("rewind", task, "--to", "2", "--yes")["events"] == 2
    assert [each["offset"] for each in told("subscriptions")] == [1, 1]
    assert call("topics", "skip", "photo.liked/nobody", "--yes").exit_code == 6
    assert call("topics", "skip", task, "--to", "then").exit_code == 2
    actions = [each["action"] for each in json.loads(call("audit", "-o", "json").stdout)]
    assert {"topics.replay", "topics.move"} <= set(actions)
    assert call("topics", "unsubscribe", task, "--yes").exit_code == 0
    assert told("subscriptions") == []


def test_topics_are_made_purged_and_removed_by_hand(app: Ropeway) -> None:
    """Nothing that a subscription has not read goes unless that is said."""
    assert call("topics", "create", "video.seen", "--partitions", "2").exit_code == 0
    assert call("topics", "create", "video.seen", "--count", "9").exit_code == 9
    assert call("topics", "create", "no name").exit_code == 2
    assert call("topics", "publish", "video.seen", "{").exit_code == 2
    assert "0 events removed" in call("topics", "purge", "photo.liked", "--yes").stderr
    purged = call("topics", "purge", "photo.liked", "--before", "4", "--unread", "--yes")
    assert "3 events removed" in purged.stderr
    assert [each["offset"] for each in told("show", "photo.liked")] == [4, 5]
    assert call("topics", "rm", "photo.liked", "--yes").exit_code == 0
    assert [each["topic"] for each in told("ls")] == ["video.seen"]
