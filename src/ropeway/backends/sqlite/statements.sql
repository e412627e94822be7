-- Every statement, by name. Parameters are positional; each header lists them in order.

-- name: publish
-- Adds a message; does nothing if the id is known.
-- in: id, task, queue, band, key, due, enqueued, head, body, expires
insert into job (id, task, queue, band, key, due, enqueued, head, body, expires)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
on conflict (id) do nothing;

-- name: published
-- The message kept under an id, to compare a second publish with.
-- in: id   out: version, task, queue, band, key, head, body
select version, task, queue, band, key, head, body from job where id = ?;

-- name: next_band
-- The highest band with a waiting message, at or below a band.
-- in: queue, highest, lowest   out: band or null
select max(band) from job indexed by ready
where state = 0 and queue = ? and band <= ? and band >= ?;

-- name: earliest_due
-- in: queue, band   out: due or null
select min(due) from job indexed by ready where state = 0 and queue = ? and band = ?;

-- name: earliest_expiry
-- in: queue   out: lease_until or null
select min(lease_until) from job indexed by leased where state = 1 and queue = ?;

-- name: claim_due
-- Leases what is due in one band.
-- in: holder, lease_until, now, queue, band, now, n   out: see rows.DELIVERY
update job set state = 1, attempt = attempt + 1, version = version + 1, holder = ?,
    lease_until = ?, started = ?, settled = null
where serial in (
    select serial from job indexed by ready
    where state = 0 and queue = ? and band = ? and due <= ? order by due, serial limit ?)
returning due, serial, id, task, queue, band, key, enqueued, attempt, failures, losses, releases,
    head, body;

-- name: claim_expired
-- Takes over messages whose lease has ended.
-- in: holder, lease_until, now, queue, boot, lowest, highest, n   out: see rows.DELIVERY
update job set attempt = attempt + 1, version = version + 1, holder = ?, lease_until = ?,
    started = ?, settled = null
where serial in (
    select serial from job indexed by leased
    where state = 1 and queue = ? and lease_until <= ? and band >= ? and band <= ?
    order by lease_until, serial limit ?)
returning due, serial, id, task, queue, band, key, enqueued, attempt, failures, losses, releases,
    head, body;

-- name: finish
-- Settles for good, if the attempt still holds its lease.
-- in: state, value, error, finished, purge, failures, losses, settled, id, attempt, holder
update job set state = ?, value = ?, error = ?, finished = ?, purge = ?,
    failures = failures + ?, losses = losses + ?, settled = ?,
    version = version + 1, lease_until = null
where id = ? and attempt = ? and holder = ? and state = 1;

-- name: release
-- Gives back, if the attempt still holds its lease; a null due keeps the old place.
-- in: due, error, failures, losses, releases, settled, id, attempt, holder   out: queue
update job set state = 0, due = coalesce(?, due), error = ?, failures = failures + ?,
    losses = losses + ?, releases = releases + ?, settled = ?,
    version = version + 1, lease_until = null
where id = ? and attempt = ? and holder = ? and state = 1
returning queue;

-- name: extend
-- in: lease_until, id, attempt, holder
update job set lease_until = ? where id = ? and attempt = ? and holder = ? and state = 1;

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

-- name: add_member
-- Does nothing if the member is known, or the join has fired.
-- in: join, member, join
insert into join_member (name, member)
select ?, ? where not exists (select 1 from join_point where name = ? and fired)
on conflict (name, member) do nothing;

-- name: count_member
-- in: join, purge   out: whether it is complete; null if it is not made yet
insert into join_point (name, arrived, purge) values (?, 1, ?)
on conflict (name) do update set arrived = arrived + 1
returning arrived >= need;

-- name: fire
-- in: purge, join
update join_point set fired = 1, purge = ? where name = ?;

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
-- in: id   out: see rows.RECORD
select id, task, queue, band, key, head, body, state, attempt, failures, losses, releases,
    enqueued, due, started, finished, holder, value, error, version
from job where id = ?;

-- name: search
-- Jobs of a range of ids, newest first. Null leaves a filter open.
-- in: low, high, state, state, task, task, queue, queue, limit
-- out: see rows.RECORD
select id, task, queue, band, key, head, body, state, attempt, failures, losses, releases,
    enqueued, due, started, finished, holder, value, error, version
from job
where id >= ? and id < ? and (? is null or state = ?) and (? is null or task = ?)
    and (? is null or queue = ?)
order by id desc limit ?;

-- name: queue_names
-- Every queue that holds work, by skipping from name to name along the two indexes.
-- out: queue
with recursive
    waiting (queue) as (
        select min(queue) from job indexed by ready where state = 0
        union all
        select (select min(queue) from job indexed by ready
                where state = 0 and queue > waiting.queue)
        from waiting where waiting.queue is not null),
    held (queue) as (
        select min(queue) from job indexed by leased where state = 1
        union all
        select (select min(queue) from job indexed by leased
                where state = 1 and queue > held.queue)
        from held where held.queue is not null)
select queue from waiting where queue is not null
union select queue from held where queue is not null order by 1;

-- name: count_waiting
-- Counts stop at a cap.
-- in: queue, due above, due up to, cap   out: count
select count(*) from (
    select 1 from job indexed by ready
    where state = 0 and queue = ? and due > ? and due <= ? limit ?);

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
-- in: error, finished, purge, now, limit   out: id
update job set state = 5, error = ?, finished = ?, purge = ?, version = version + 1, settled = null
where serial in (
    select serial from job indexed by expiring
    where state = 0 and expires is not null and expires <= ? order by expires limit ?)
returning id;

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
