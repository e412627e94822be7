"""Topics: events that are published once, kept in logs, and handled by every subscription."""

from ropeway.topics.browsing import SubscriptionInfo, TopicInfo, Unreadable
from ropeway.topics.events import Event
from ropeway.topics.listening import Listener
from ropeway.topics.records import TopicRecord
from ropeway.topics.retention import Retention
from ropeway.topics.topic import Topic
from ropeway.topics.topics import Topics, type_name

__all__ = [
    "Event",
    "Listener",
    "Retention",
    "SubscriptionInfo",
    "Topic",
    "TopicInfo",
    "TopicRecord",
    "Topics",
    "Unreadable",
    "type_name",
]
