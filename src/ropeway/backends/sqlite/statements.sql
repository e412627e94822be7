-- Every statement, by name. Parameters are positional; each header lists them in order.

-- name: publish
-- Adds a message; does nothing if the id is known.
-- in: id, task, queue, band, place, enqueued, head, body, expires, kind, lane
insert into job (id, task, queue, band, place, enqueued, head, body, expires, kind, lane)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
on conflict (id) do nothing;

-- name: publish_special
-- The same for a message that has a key or limits: behind what is open of its key.
-- in: id, task, queue, band, place, enqueued, head, body, expires, kind, key, limits, queue, key,
--     lane
insert into job (id, task, queue, band, place, enqueued, head, body, expires, kind, key,
    limited_by, lane)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
    coalesce((select -1 from job indexed by keyed
        where key is not null and state < 2 and queue = ? and key = ? limit 1), ?))
on conflict (id) do nothing;

-- name: published
-- The message kept under an id, to compare a second publish with.
-- in: id   out: version, task, queue, band, key, head, body
select version, task, queue, band, key, head, body from job where id = ?;

-- name: next_head
-- The highest lane with a message, at or below a lane, and its first place.
-- in: queue, kind, queue, kind, highest, lowest   out: lane, place
select lane, place from job indexed by lanes
where state = 0 and queue = ? and kind = ? and lane = (
    select max(lane) from job indexed by lanes
    where state = 0 and queue = ? and kind = ? and lane <= ? and lane >= ?)
order by place limit 1;

-- name: look
-- What a claim of one kind has to see to, and whether anything waits: the highest lane.
-- in: queue, kind, queue, kind, queue, kind   out: lease_until or null, wake or null, lane or null
select
    (select min(lease_until) from job indexed by leased where state = 1 and queue = ? and kind = ?),
    (select min(at) from wake indexed by waking where queue = ? and kind = ?),
    (select max(lane) from job indexed by lanes where state = 0 and queue = ? and kind = ?);

-- name: claim_due
-- Leases what is due in one lane.
-- in: holder, lease_until, now, queue, kind, lane, until, n   out: see envelope.delivery_of
update job set state = 1, attempt = attempt + 1, version = version + 1, holder = ?,
    lease_until = ?, started = ?, settled = null
where serial in (
    select serial from job indexed by lanes
    where state = 0 and queue = ? and kind = ? and lane = ? and place <= ?
    order by place, serial limit ?)
returning place, serial, coalesce(due, place), id, task, queue, band, key, enqueued, attempt,
    failures, losses, releases, unknown, head, body;

-- name: candidates
-- What may be claimed in one lane as far as its limits allow it.
-- in: queue, kind, lane, until, n   out: place, serial, limits or null, kind
select place, serial, limited_by, kind from job indexed by lanes
where state = 0 and queue = ? and kind = ? and lane = ? and place <= ?
order by place, serial limit ?;

-- name: claim_chosen
-- Leases some of the candidates.
-- in: holder, lease_until, now, serials as JSON   out: see envelope.delivery_of
update job set state = 1, attempt = attempt + 1, version = version + 1, holder = ?,
    lease_until = ?, started = ?, settled = null
where serial in (select value from json_each(?))
returning place, serial, coalesce(due, place), id, task, queue, band, key, enqueued, attempt,
    failures, losses, releases, unknown, head, body;

-- name: claim_expired
-- Takes over messages whose lease has ended; one that ran solo is charged a loss: see is_lost.
-- in: holder, lease_until, now, queue, kind, boot, lowest, highest, n   out: see envelope.delivery_of
update job set losses = losses + (attempt - failures - losses - releases - 1 >= 4 and exists (
        select 1 from record where key = 'solo/' || id and value = cast(attempt as blob))),
    attempt = attempt + 1, version = version + 1, holder = ?, lease_until = ?, started = ?,
    settled = null
where serial in (
    select serial from job indexed by leased
    where state = 1 and queue = ? and kind = ? and lease_until <= ? and band >= ? and band <= ?
    order by lease_until, serial limit ?)
returning place, serial, coalesce(due, place), id, task, queue, band, key, enqueued, attempt,
    failures, losses, releases, unknown, head, body;

-- name: finish
-- Settles a message without key and limits for good, if the attempt still holds its lease.
-- in: state, value, error, finished, purge, failures, losses, settled, id, attempt, holder
update job set state = ?, value = ?, error = ?, finished = ?, purge = ?,
    failures = failures + ?, losses = losses + ?, settled = ?,
    version = version + 1, lease_until = null
where id = ? and attempt = ? and holder = ? and state = 1 and key is null and limited_by is null;

-- name: finish_special
-- The same for one that may hold others back.
-- in: state, value, error, finished, purge, failures, losses, settled, id, attempt, holder
-- out: queue, key, limits
update job set state = ?, value = ?, error = ?, finished = ?, purge = ?,
    failures = failures + ?, losses = losses + ?, settled = ?,
    version = version + 1, lease_until = null
where id = ? and attempt = ? and holder = ? and state = 1
returning queue, key, limited_by;

-- name: forget
-- in: id
delete from job where id = ?;

-- name: release
-- Gives back, if the attempt still holds its lease; a null due keeps the old place.
-- in: due, due, error, failures, losses, releases, unknown, settled, id, attempt, holder
-- out: queue, limits
update job set state = 0, due = iif(? is null, due, null), place = coalesce(?, place), error = ?,
    failures = failures + ?, losses = losses + ?, releases = releases + ?,
    unknown = unknown + ?, settled = ?, version = version + 1, lease_until = null
where id = ? and attempt = ? and holder = ? and state = 1
    and not exists (select 1 from cancelling where cancelling.id = job.id)
returning queue, limited_by;

-- name: extend
-- in: lease_until, id, attempt, holder   out: whether it is to be cancelled
update job set lease_until = ? where id = ? and attempt = ? and holder = ? and state = 1
returning exists (select 1 from cancelling where cancelling.id = job.id);

-- name: fence
-- in: id   out: version, state, attempt, holder, settled
select version, state, attempt, holder, settled from job where id = ?;

-- name: job_version
-- in: id   out: version
select version from job where id = ?;

-- name: record_version
-- in: key, now   out: version
select version from record where key = ? and (expires is null or expires > ?);

-- name: put
-- Writes nothing, and returns nothing, if the record has another owner than asked for.
-- in: key, value, owner, expires, if_owner, if_owner, now   out: version
insert into record (key, version, value, owner, expires) values (?, 1, ?, ?, ?)
on conflict (key) do update set version = version + 1, value = excluded.value,
    owner = excluded.owner, expires = excluded.expires
where ? is null or owner = ? or expires <= ?
returning version;

-- name: drop
-- in: key, if_owner, if_owner
delete from record where key = ? and (? is null or owner = ?);

-- name: get_record
-- in: key, now   out: key, version, value, owner
select key, version, value, owner from record where key = ? and (expires is null or expires > ?);

-- name: scan
-- in: first key, before key, now, limit   out: key, version, value, owner
select key, version, value, owner from record
where key >= ? and key < ? and (expires is null or expires > ?) order by key limit ?;

-- name: earliest_record_expiry
-- out: expires or null
select min(expires) from record indexed by record_expiring where expires is not null;

-- name: prune_records
-- Removes records past their time.
-- in: now, limit
delete from record where key in (
    select key from record indexed by record_expiring
    where expires is not null and expires <= ? order by expires limit ?);

-- name: next_offset
-- in: log   out: id of the log, offset
insert into log (name, last) values (?, 1)
on conflict (name) do update set last = last + 1
returning id, last;

-- name: append
-- in: id of the log, offset, appended, value
insert into entry (log, offset, appended, value) values (?, ?, ?, ?);

-- name: trim
-- in: log, offset
delete from entry where (log, offset) in (
    select entry.log, entry.offset from log join entry on entry.log = log.id
    where log.name = ? and entry.offset <= ? and entry.offset < log.last);

-- name: read_newest
-- in: log, limit   out: offset, value, appended
select offset, value, appended from entry
where log = (select id from log where name = ?) order by offset desc limit ?;

-- name: read
-- in: log, after, limit   out: offset, value, appended
select offset, value, appended from entry
where log = (select id from log where name = ?) and offset > ? order by offset limit ?;

-- name: make_join
-- Makes a join, or raises what it needs; does nothing, and returns nothing, if it has fired.
-- in: name, need, purge   out: whether it is complete
insert into join_point (name, need, purge) values (?, ?, ?)
on conflict (name) do update set need = max(coalesce(need, excluded.need), excluded.need),
    purge = excluded.purge
where not fired
returning arrived >= need;

-- name: keep_then
-- What the first making of a join gave; does nothing at the next ones.
-- in: name, messages
insert into join_then (name, messages) values (?, ?) on conflict (name) do nothing;

-- name: join_point
-- in: join   out: need (null: it is not made yet), how many have arrived, whether it has fired
select need, arrived, fired from join_point where name = ?;

-- name: add_member
-- Does nothing if the member is known.
-- in: join, member
insert into join_member (name, member) values (?, ?) on conflict (name, member) do nothing;

-- name: count_members
-- in: join, how many have arrived, purge
insert into join_point (name, arrived, purge) values (?, ?, ?)
on conflict (name) do update set arrived = excluded.arrived;

-- name: fire
-- in: how many have arrived, purge, join
update join_point set fired = 1, arrived = ?, purge = ? where name = ?;

-- name: take_then
-- in: join   out: messages
delete from join_then where name = ? returning messages;

-- name: earliest_join_purge
-- out: purge or null
select min(purge) from join_point indexed by join_over;

-- name: joins_over
-- in: now, limit   out: name
select name from join_point indexed by join_over where purge <= ? order by purge limit ?;

-- name: drop_members
-- in: join, limit
delete from join_member where (name, member) in (
    select name, member from join_member where name = ? limit ?);

-- name: drop_then
-- in: join
delete from join_then where name = ?;

-- name: drop_join
-- in: join
delete from join_point where name = ?;

-- name: get_job
-- in: id   out: see envelope.job_of
select id, task, queue, band, key, head, body, state, attempt, failures, losses, releases,
    unknown, enqueued, coalesce(due, place), started, finished, holder, value, error, version,
    state = 1 and exists (select 1 from cancelling where cancelling.id = job.id)
from job where id = ?;

-- name: get_jobs
-- in: ids as a JSON array   out: see envelope.job_of
select id, task, queue, band, key, head, body, state, attempt, failures, losses, releases,
    unknown, enqueued, coalesce(due, place), started, finished, holder, value, error, version,
    state = 1 and exists (select 1 from cancelling where cancelling.id = job.id)
from job where id in (select value from json_each(?));

-- name: search
-- Ids of a range, newest first. Null leaves a filter open.
-- in: low, high, state, state, task, task, queue, queue, limit   out: id
select id from job
where id >= ? and id < ? and (? is null or state = ?) and (? is null or task = ?)
    and (? is null or queue = ?)
order by id desc limit ?;

-- name: far_id
-- The id so far down from the top of a range.
-- in: low, high, how far   out: id
select id from job where id >= ? and id < ? order by id desc limit 1 offset ?;

-- name: search_ended
-- The same among those of one state that did not succeed.
-- in: state, low, high, task, task, queue, queue, limit   out: id
select id from job indexed by ended
where state >= 3 and state = ? and id >= ? and id < ? and (? is null or task = ?)
    and (? is null or queue = ?)
order by id desc limit ?;

-- name: far_ended
-- in: state, low, high, how far   out: id
select id from job indexed by ended
where state >= 3 and state = ? and id >= ? and id < ? order by id desc limit 1 offset ?;

-- name: search_caused
-- The same among those that ended for one cause, which may be null.
-- in: state, cause, low, high, task, task, queue, queue, limit   out: id
select id from job indexed by caused
where state >= 3 and state = ? and cause is ? and id >= ? and id < ? and (? is null or task = ?)
    and (? is null or queue = ?)
order by id desc limit ?;

-- name: far_caused
-- in: state, cause, low, high, how far   out: id
select id from job indexed by caused
where state >= 3 and state = ? and cause is ? and id >= ? and id < ?
order by id desc limit 1 offset ?;

-- name: next_cause
-- The first cause of a state after another.
-- in: state, cause   out: cause or null
select min(cause) from job indexed by caused where state >= 3 and state = ? and cause > ?;

-- name: oldest_caused
-- in: state, cause, low, high   out: id or null
select min(id) from job indexed by caused
where state >= 3 and state = ? and cause is ? and id >= ? and id < ?;

-- name: search_waiting
-- The same where few are waiting: all of them are looked at.
-- in: queue, queue, low, high, task, task, limit   out: id
select id from job indexed by lanes
where state = 0 and (? is null or queue = ?) and id >= ? and id < ? and (? is null or task = ?)
order by id desc limit ?;

-- name: some_waiting
-- Counts what waits anywhere, up to a cap.
-- in: cap   out: count
select count(*) from (select 1 from job indexed by lanes where state = 0 limit ?);

-- name: search_running
-- in: queue, queue, low, high, task, task, limit   out: id
select id from job indexed by leased
where state = 1 and (? is null or queue = ?) and id >= ? and id < ? and (? is null or task = ?)
order by id desc limit ?;

-- name: job_span
-- Between which serials all jobs are: nearly how many there are.
-- out: first, last
select (select min(serial) from job), (select max(serial) from job);

-- name: keep_cause
-- What failures of one cause have in common, beside the error that has just been kept.
-- in: cause, id
update job set cause = ? where id = ?;

-- name: queue_names
-- Every queue that holds work, by skipping from name to name along the two indexes.
-- out: queue
with recursive
    ready (queue) as (
        select min(queue) from job indexed by lanes where state = 0
        union all
        select (select min(queue) from job indexed by lanes
                where state = 0 and queue > ready.queue)
        from ready where ready.queue is not null),
    held (queue) as (
        select min(queue) from job indexed by leased where state = 1
        union all
        select (select min(queue) from job indexed by leased
                where state = 1 and queue > held.queue)
        from held where held.queue is not null)
select queue from ready where queue is not null
union select queue from held where queue is not null order by 1;

-- name: count_waiting
-- Counts stop at a cap.
-- in: queue, place above, place up to, cap   out: count
select count(*) from (
    select 1 from job indexed by lanes
    where state = 0 and queue = ? and place > ? and place <= ? limit ?);

-- name: depth
-- What waits in a queue, up to a cap.
-- in: queue, cap   out: count
select count(*) from (
    select 1 from job indexed by lanes where state = 0 and queue = ? limit ?);

-- name: count_leased
-- in: queue, cap   out: count
select count(*) from (
    select 1 from job indexed by leased where state = 1 and queue = ? limit ?);

-- name: prune
-- Removes settled jobs of one state, those first whose time is over first.
-- in: state, purge up to, limit
delete from job where serial in (
    select serial from job indexed by kept
    where state >= 2 and state = ? and purge <= ? order by purge limit ?);

-- name: earliest_purge
-- in: state   out: purge or null
select min(purge) from job indexed by kept where state >= 2 and state = ?;

-- name: purge_of_newest
-- When the record is to be removed that is so far from the newest of its state.
-- in: state, how far   out: purge
select purge from job indexed by kept
where state >= 2 and state = ? order by purge desc limit 1 offset ?;

-- name: earliest_expires
-- out: expires or null
select min(expires) from job indexed by expiring where state = 0 and expires is not null;

-- name: expire
-- Ends what waits past its time.
-- in: error, finished, purge, now, limit   out: id, serial, queue, key, lane
update job set state = 5, error = ?, finished = ?, purge = ?, version = version + 1, settled = null
where serial in (
    select serial from job indexed by expiring
    where state = 0 and expires is not null and expires <= ? order by expires limit ?)
returning id, serial, queue, key, lane;

-- name: void_leases
-- After a reboot no holder is alive.
update job set lease_until = -1 where state = 1;

-- name: void_leases_of
-- A holder is dead: its leases end now.
-- in: holder   out: queue
update job set lease_until = -1 where serial in (
    select serial from job indexed by leased where state = 1 and holder = ?)
returning queue;

-- name: get_meta
-- in: name   out: value
select value from meta where name = ?;

-- name: set_meta
-- in: name, value
insert into meta (name, value) values (?, ?)
on conflict (name) do update set value = excluded.value;

-- keys, limits, cancelling, people ----------------------------------------------------------

-- name: free_next
-- The one of a key that was free has gone: the next is free, behind whatever is ready by now.
-- in: now, queue, key
update job set lane = 2 * band + (limited_by is not null),
    due = coalesce(due, place), place = max(coalesce(due, place), ?)
where serial = (
    select serial from job indexed by keyed
    where key is not null and state < 2 and queue = ? and key = ? order by serial limit 1);

-- name: declare
-- in: name, in_flight, rate, burst
insert into limits (name, in_flight, rate, burst) values (?, ?, ?, ?)
on conflict (name) do update
set in_flight = excluded.in_flight, rate = excluded.rate, burst = excluded.burst;

-- name: meter
-- in: name   out: in_flight, rate, burst, leased, spent
select in_flight, rate, burst, leased, spent from limits where name = ?;

-- name: take
-- One more message that names a limit is leased.
-- in: name, spent
insert into limits (name, leased, spent) values (?, 1, ?)
on conflict (name) do update set leased = leased + 1, spent = excluded.spent;

-- name: give_back
-- in: name
update limits set leased = leased - 1 where name = ?;

-- name: forget_limit
-- Nobody has declared it, and no message uses it any more.
-- in: name
delete from limits where name = ? and leased <= 0 and in_flight is null and rate is null;

-- name: park
-- in: queue, kind, limit, rank, serial
insert into parked (queue, kind, name, rank, serial) values (?, ?, ?, ?, ?);

-- name: first_parked
-- in: queue, kind, limit   out: serial or null
select serial from parked where queue = ? and kind = ? and name = ? order by rank, serial limit 1;

-- name: drop_parked
-- in: serial
delete from parked where serial = ?;

-- name: leave_lane
-- in: lane, serial
update job set lane = ? where serial = ?;

-- name: unpark
-- in: serial
update job set lane = 2 * band + (limited_by is not null) where serial = ?;

-- name: set_wake
-- in: queue, kind, name, at
insert into wake (queue, kind, name, at) values (?, ?, ?, ?)
on conflict (queue, kind, name) do update set at = excluded.at;

-- name: drop_wake
-- in: queue, kind, name
delete from wake where queue = ? and kind = ? and name = ?;

-- name: due_wakes
-- in: queue, kind, now   out: name
select name from wake indexed by waking where queue = ? and kind = ? and at <= ?;

-- name: wake_all
-- A limit may have room: whoever waits for it may try.
-- in: now, name   out: queue
update wake set at = ? where name = ? returning queue;

-- name: cancel_waiting
-- in: finished, purge, id   out: serial, queue, key, lane
update job set state = 4, finished = ?, purge = ?, version = version + 1, settled = null
where id = ? and state = 0
returning serial, queue, key, lane;

-- name: flag
-- in: id   out: holder
update job set version = version + 1 where id = ? and state = 1 returning holder;

-- name: set_flag
-- in: id, keep
insert into cancelling (id, keep) values (?, ?) on conflict (id) do update set keep = excluded.keep;

-- name: drop_flag
-- in: id
delete from cancelling where id = ?;

-- name: drop_spent_flags
-- What was flagged may have finished all the same.
delete from cancelling where not exists (
    select 1 from job where job.id = cancelling.id and job.state = 1);

-- name: release_flagged
-- What was flagged does not go back: it ends.
-- in: error, finished, finished, failures, losses, releases, unknown, settled, id, attempt, holder
-- out: queue, key, limits
update job set state = 4, error = ?, finished = ?,
    purge = ? + (select keep from cancelling where cancelling.id = job.id),
    failures = failures + ?, losses = losses + ?, releases = releases + ?,
    unknown = unknown + ?, settled = ?, version = version + 1, lease_until = null
where id = ? and attempt = ? and holder = ? and state = 1
    and exists (select 1 from cancelling where cancelling.id = job.id)
returning queue, key, limited_by;

-- name: earliest_flagged
-- When the first lease of those flagged is over; -1 if one of them has ended.
-- out: lease_until or null
select min(case job.state when 1 then job.lease_until else -1 end)
from cancelling left join job on job.id = cancelling.id;

-- name: end_flagged
-- Ends what was flagged and whose lease is over; `cross` keeps it from looking at all leases.
-- in: finished, finished, boot, limit   out: id, queue, key, limits
update job set state = 4, finished = ?,
    purge = ? + (select keep from cancelling where cancelling.id = job.id), version = version + 1,
    lease_until = null, settled = null
where serial in (
    select job.serial from cancelling cross join job on job.id = cancelling.id
    where job.state = 1 and job.lease_until <= ? limit ?)
returning id, queue, key, limited_by;

-- name: waiting_job
-- What an update has to know of a job that waits.
-- in: id   out: serial, version, state, queue, key, lane
select serial, version, state, queue, key, lane from job where id = ?;

-- name: update
-- A null leaves a field as it is. Last come the queue and the key if it moves, and whether it
-- stays blocked by its key: -1, else null.
-- in: due, due, queue, band, body, queue, key, blocked, band, serial
update job set due = iif(? is null, due, null), place = coalesce(?, place),
    queue = coalesce(?, queue), band = coalesce(?, band), body = coalesce(?, body),
    version = version + 1,
    lane = coalesce((select -1 from job as other indexed by keyed
        where other.key is not null and other.state < 2 and other.queue = ? and other.key = ?
        limit 1), ?, 2 * coalesce(?, band) + (limited_by is not null))
where serial = ?;

-- name: replace_message
-- in: task, queue, band, key, head, body, limits, kind, id
update job set task = ?, queue = ?, band = ?, key = ?, head = ?, body = ?, limited_by = ?,
    kind = ?
where id = ? and state >= 2;

-- name: revive
-- What is settled waits again as if just published, but for its attempts. What those are is
-- charged to nothing: all of them count as given back.
-- in: due, enqueued, expires, id   out: queue
update job set state = 0, place = ?, due = null, enqueued = ?, expires = ?, failures = 0,
    losses = 0, releases = attempt, unknown = 0, version = version + 1, finished = null,
    purge = null, value = null, settled = null, cause = null,
    lane = coalesce((select -1 from job as other indexed by keyed
        where other.key is not null and other.state < 2 and other.queue = job.queue
            and other.key = job.key limit 1), 2 * band + (limited_by is not null))
where id = ? and state >= 2
returning queue;

-- name: remove
-- in: id
delete from job where id = ? and state >= 2;

-- name: texts
-- All texts of jobs as they are, in the order of publishing.
-- in: after, limit   out: serial, state, lane, id, task, queue, key, limits, holder
select serial, state, lane, cast(id as blob), cast(task as blob), cast(queue as blob),
    cast(key as blob), cast(limited_by as blob), cast(holder as blob)
from job where serial > ? order by serial limit ?;

-- name: set_aside
-- Puts a row into quarantine that cannot be read, with texts in the place of what is none.
-- in: id, task, queue, holder, error, finished, purge, serial
update job set id = ?, task = ?, queue = ?, holder = ?, key = null, limited_by = null,
    state = iif(state < 2, 6, state), error = ?, finished = coalesce(finished, ?),
    purge = coalesce(purge, ?), version = version + 1, lease_until = null, settled = null
where serial = ?;

-- name: peek_lane
-- What waits in one lane, by place.
-- in: queue, kind, lane, limit   out: due, serial
select coalesce(due, place), serial from job indexed by lanes
where state = 0 and queue = ? and kind = ? and lane = ? order by place limit ?;

-- name: get_serial
-- in: serial   out: see envelope.job_of
select id, task, queue, band, key, head, body, state, attempt, failures, losses, releases,
    unknown, enqueued, coalesce(due, place), started, finished, holder, value, error, version,
    state = 1 and exists (select 1 from cancelling where cancelling.id = job.id)
from job where serial = ?;
