-- Every statement, by name. Parameters are arrays, one element an item, unless a header says more.

-- name: now
select clock();

-- publish, settle, extend: what most commits are -----------------------------------------------
-- What is leased is found by its id, also by a plan that was made while there was nothing, to which it
-- seems as good to read an index through for each: that of leases, which `state + 0` has nothing to do
-- with, or that of ids, which only an equality could be merged with.

-- name: publish
-- Messages without keys and limits; returns the ids of those that are known.
-- in: ids, tasks, queues, bands, kinds, dues, delays, expires, within, heads, bodies
select publish($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11);

-- name: publish_and_tell
-- The same in a transaction of its own, and then tells who waits; not where there is one already.
-- in: ids, tasks, queues, bands, kinds, dues, delays, expires, within, heads, bodies; channel (one)
-- and payloads
call publish_and_tell($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, null);

-- name: publish_alike_and_tell
-- The same for messages that differ in nothing but their ids and bodies.
-- in: ids joined by commas (one); bodies; task, queue, band, kind, due, delay, expires, within, head,
-- channel (one each), payloads
call publish_alike_and_tell($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, null);

-- name: finish
-- Settles what has no key and no limits for good, where the attempt still holds its lease.
-- in: ids, attempts, holders, states, values, errors, causes, keeps, failures, losses, digests
-- out: id
with s as (
    select * from unnest($1::text[], $2::int[], $3::text[], $4::smallint[], $5::bytea[],
        $6::bytea[], $7::text[], $8::float8[], $9::int[], $10::int[], $11::bytea[])
        as s (id, attempt, holder, ending, value, reason, cause, keep, failed, lost, digest)),
gone as (
    delete from job using s
    where job.id >= s.id and job.id <= s.id and job.attempt = s.attempt and job.holder = s.holder
        and job.state + 0 = 1
        and job.key is null and job.limited_by is null
    returning job.*, s.ending, s.value, s.reason, s.cause, s.keep, s.failed, s.lost, s.digest),
kept as (
    insert into finished (serial, due, enqueued, started, finished, purge, attempt, failures,
        losses, releases, unknown, version, state, band, id, task, queue, holder, cause, settled,
        head, body, value, error)
    select serial, coalesce(due, place), enqueued, started, at, at + keep, attempt,
        failures + failed, losses + lost, releases, unknown, version + 1, ending, band, id, task,
        queue, holder, cause, digest, head, body, value, reason
    from gone cross join (select clock() as at offset 0) as moment)
select id from gone;

-- name: finish_unkept
-- The same where nothing is to be kept but that it was done, for as long as the lease would last.
-- in: ids, attempts, holders, digests   out: id
with s as (
    select * from unnest($1::text[], $2::int[], $3::text[], $4::bytea[])
        as s (id, attempt, holder, digest)),
gone as (
    delete from job using s
    where job.id >= s.id and job.id <= s.id and job.attempt = s.attempt and job.holder = s.holder
        and job.state + 0 = 1
        and job.key is null and job.limited_by is null
    returning job.id, job.holder, job.lease_until, s.digest),
noted as (
    insert into unkept (until, holder, digests)
    select greatest(max(lease_until), clock() + 60), holder, string_agg(digest, '')
    from gone group by holder)
select id from gone;

-- name: finish_unkept_and_tell
-- The same for one holder and one number of an attempt, in a transaction of its own, and then tells
-- who waits.
-- in: ids joined by commas, attempt, holder, digests joined, channel (one each), payloads
-- out: ids of which it was done, or null if that is all
call finish_unkept_and_tell($1, $2, $3, $4, $5, $6, null);

-- name: release
-- Gives back what has no limits and is not to be cancelled; without a date it keeps its place.
-- in: ids, attempts, holders, dates, delays, errors, failures, losses, releases, unknown, digests
-- out: id, queue
update job set state = 0, lease_until = null, version = version + 1, settled = s.digest,
    due = case when s.at is null and s.delay is null then due end,
    place = coalesce(s.at, (select clock()) + s.delay, place), error = s.reason,
    failures = failures + s.failed, losses = losses + s.lost, releases = releases + s.released,
    unknown = job.unknown + s.strange
from unnest($1::text[], $2::int[], $3::text[], $4::float8[], $5::float8[], $6::bytea[], $7::int[],
    $8::int[], $9::int[], $10::int[], $11::bytea[])
    as s (id, attempt, holder, at, delay, reason, failed, lost, released, strange, digest)
where job.id >= s.id and job.id <= s.id and job.attempt = s.attempt and job.holder = s.holder
    and job.state + 0 = 1
    and job.limited_by is null and job.keep_cancelled is null
returning job.id, job.queue;

-- name: extend
-- in: ids, attempts, holders, seconds (one)
-- out: id, attempt, holder, whether it is to be cancelled
update job set lease_until = (select clock()) + $4::float8
from unnest($1::text[], $2::int[], $3::text[]) as s (id, attempt, holder)
where job.id >= s.id and job.id <= s.id and job.attempt = s.attempt and job.holder = s.holder
    and job.state + 0 = 1
returning job.id, job.attempt, job.holder, job.keep_cancelled is not null;

-- claims -----------------------------------------------------------------------------------------

-- name: look
-- What claims have to see to, now: ends of leases, limits that may have room, and of each lane in
-- which something waits its first place. And how many entries of indexes were read for it: those of
-- rows that are gone count, until nobody can see them any more and they are cleared away.
-- in: queues, kinds, places from which to look for leases
-- out: now, queue, kind, lane or null, place, end of a lease, wake, entries read so far
with recursive wanted as (
    select * from unnest($1::text[], $2::smallint[], $3::float8[]) as w (queue, kind, since)),
heads as (
    select w.queue, w.kind, h.lane, h.place from wanted w cross join lateral (
        select lane, place from job
        where state = 0 and queue = w.queue and kind = w.kind and lane >= 0
        order by lane, place, serial limit 1) h
    union all
    select p.queue, p.kind, h.lane, h.place from heads p cross join lateral (
        select lane, place from job
        where state = 0 and queue = p.queue and kind = p.kind and lane > p.lane
        order by lane, place, serial limit 1) h)
select clock(), null, null::smallint, null::smallint, null::float8, null::float8, null::float8,
    pg_stat_get_xact_tuples_returned('lanes'::regclass)
        + pg_stat_get_xact_tuples_returned('leased'::regclass)
union all
select clock(), queue, kind, lane, place, null, null, null from heads
union all
select clock(), w.queue, w.kind, null, null,
    (select lease_until from job
        where state = 1 and queue = w.queue and kind = w.kind and lease_until >= w.since
            and lease_until <= (select clock()) + 1
        order by lease_until limit 1),
    (select at from wake where queue = w.queue and kind = w.kind and at is not null
        order by at limit 1), null
from wanted w
union all
select clock(), null, null, null, null, null, null,
    pg_stat_get_xact_tuples_returned('lanes'::regclass)
        + pg_stat_get_xact_tuples_returned('leased'::regclass);

-- name: look_from
-- The same, in each lane from a place on.
-- in: queues, kinds, places from which to look for leases; queues, kinds, lanes, places
-- out: as above
with wanted as (
    select * from unnest($1::text[], $2::smallint[], $3::float8[]) as w (queue, kind, since)),
lanes as (
    select * from unnest($4::text[], $5::smallint[], $6::smallint[], $7::float8[])
        as l (queue, kind, lane, since))
select clock(), null, null::smallint, null::smallint, null::float8, null::float8, null::float8,
    pg_stat_get_xact_tuples_returned('lanes'::regclass)
        + pg_stat_get_xact_tuples_returned('leased'::regclass)
union all
select clock(), l.queue, l.kind, l.lane, h.place, null, null, null
from lanes l cross join lateral (
    select place from job
    where state = 0 and queue = l.queue and kind = l.kind and lane = l.lane and place >= l.since
    order by place, serial limit 1) h
union all
select clock(), w.queue, w.kind, null, null,
    (select lease_until from job
        where state = 1 and queue = w.queue and kind = w.kind and lease_until >= w.since
            and lease_until <= (select clock()) + 1
        order by lease_until limit 1),
    (select at from wake where queue = w.queue and kind = w.kind and at is not null
        order by at limit 1), null
from wanted w
union all
select clock(), null, null, null, null, null, null,
    pg_stat_get_xact_tuples_returned('lanes'::regclass)
        + pg_stat_get_xact_tuples_returned('leased'::regclass);

-- name: look_and_claim
-- A look at everything, and in the same round trip what it finds is leased, if one lane alone has
-- something that is due, no limits are to be counted, and no lease has ended: see Look.is_simple.
-- in: holder, lease (one each); queues, kinds, places from which to look for leases, lowest lanes,
-- highest lanes, n
-- out: of what is leased see rows.taken_of; without an id what a look says: see look.told
with recursive wanted as (
    select * from unnest($3::text[], $4::smallint[], $5::float8[], $6::smallint[], $7::smallint[],
        $8::int[]) as w (queue, kind, since, lowest, highest, n)),
heads as (
    select w.queue, w.kind, h.lane, h.place from wanted w cross join lateral (
        select lane, place from job
        where state = 0 and queue = w.queue and kind = w.kind and lane >= 0
        order by lane, place, serial limit 1) h
    union all
    select p.queue, p.kind, h.lane, h.place from heads p cross join lateral (
        select lane, place from job
        where state = 0 and queue = p.queue and kind = p.kind and lane > p.lane
        order by lane, place, serial limit 1) h),
ends as (
    select queue, kind,
        (select lease_until from job
            where state = 1 and queue = w.queue and kind = w.kind and lease_until >= w.since
                and lease_until <= (select clock()) + 1
            order by lease_until limit 1) as lease,
        (select at from wake where queue = w.queue and kind = w.kind and at is not null
            order by at limit 1) as woken
    from wanted w),
due as (
    select h.queue, h.kind, h.lane, w.n from heads h join wanted w using (queue, kind)
    where h.place <= (select clock()) and h.lane between w.lowest and w.highest),
chosen as (
    select * from due
    where (select count(*) from due) = 1
        and not exists (select 1 from heads where lane & 1 = 1
            or queue = due.queue and kind <> due.kind and lane >> 1 = due.lane >> 1)
        and not exists (select 1 from ends
            where lease <= (select clock()) or woken <= (select clock()))),
taken as (
    update job set state = 1, attempt = attempt + 1, version = version + 1, holder = $1,
        lease_until = m.at + $2::float8, started = m.at, settled = null
    from (select clock() as at offset 0) as m
    where ctid = any (array(
        select ctid from job
        where state = 0 and queue = (select queue from chosen) and kind = (select kind from chosen)
            and lane = (select lane from chosen) and place <= (select clock())
        order by place, serial limit (select n from chosen) for update skip locked))
    returning place, serial, due, id, task, enqueued, attempt,
        case when failures + losses + releases + unknown > 0
            then array[failures, losses, releases, unknown] end, key, head, body)
select null::float8, pg_stat_get_xact_tuples_returned('lanes'::regclass)
        + pg_stat_get_xact_tuples_returned('leased'::regclass), null::float8, null, null, clock(),
    null::int, null::int[], null, null::bytea, null::bytea
union all
select place, lane,
    case when (queue, kind, lane) = (select queue, kind, lane from chosen) then 1 end, null, queue,
    clock(), kind, null, null, null, null from heads
union all
select woken, null, lease, null, queue, clock(), kind, null, null, null, null from ends
union all
select null, pg_stat_get_xact_tuples_returned('lanes'::regclass)
        + pg_stat_get_xact_tuples_returned('leased'::regclass), null, null, null, clock(), null,
    null, null, null, null
union all
select * from taken;

-- name: claim_due
-- Leases what is due in one lane; who else claims just now is not waited for.
-- in, one each: holder, lease, queue, kind, lane, until, n, since   out: see envelope.delivery_of
update job set state = 1, attempt = attempt + 1, version = version + 1, holder = $1,
    lease_until = m.at + $2::float8, started = m.at, settled = null
from (select clock() as at offset 0) as m
where ctid = any (array(
    select ctid from job
    where state = 0 and queue = $3 and kind = $4 and lane = $5 and place <= $6 and place >= $8
    order by place, serial limit $7 for update skip locked))
returning place, serial, coalesce(due, place), id, task, queue, band, key, enqueued, attempt,
    failures, losses, releases, unknown, head, body, limited_by;

-- name: claim_expired
-- Takes over messages whose lease has ended; one that ran solo is charged a loss: see is_lost.
-- in, one each: holder, lease, queue, kind, lowest, highest, n   out: see envelope.delivery_of
update job set losses = losses + (attempt - failures - losses - releases - 1 >= 4 and exists (
        select 1 from record where key = convert_to('solo/' || job.id, 'UTF8')
            and (expires is null or expires > m.at)
            and value = convert_to(job.attempt::text, 'UTF8')))::int,
    attempt = attempt + 1, version = version + 1, holder = $1, lease_until = m.at + $2::float8,
    started = m.at, settled = null
from (select clock() as at offset 0) as m
where ctid = any (array(
    select ctid from job
    where state = 1 and queue = $3 and kind = $4 and lease_until <= (select clock())
        and band between $5 and $6 and keep_cancelled is null
    order by lease_until, serial limit $7 for update skip locked))
returning lease_until, serial, coalesce(due, place), id, task, queue, band, key, enqueued, attempt,
    failures, losses, releases, unknown, head, body, limited_by;

-- name: candidates
-- What may be claimed in one lane as far as its limits allow it: from now on nobody else may.
-- in, one each: queue, kind, lane, until, n, since   out: place, serial, id, limits or null, kind
select place, serial, id, limited_by, kind from job
where state = 0 and queue = $1 and kind = $2 and lane = $3 and place <= $4 and place >= $6
order by place, serial limit $5 for update skip locked;

-- name: claim_chosen
-- Leases some of the candidates.
-- in: holder and lease (one each), ids   out: see envelope.delivery_of
update job set state = 1, attempt = attempt + 1, version = version + 1, holder = $1,
    lease_until = m.at + $2::float8, started = m.at, settled = null
from (select clock() as at offset 0) as m
where id = any ($3::text[])
returning place, serial, coalesce(due, place), id, task, queue, band, key, enqueued, attempt,
    failures, losses, releases, unknown, head, body, limited_by;

-- name: flagged_over
-- What is to be cancelled and whose lease is over.
-- in, one: limit   out: id
select id from job where keep_cancelled is not null and lease_until <= (select clock())
order by lease_until limit $1;

-- limits -----------------------------------------------------------------------------------------

-- name: declare
-- in: names, in_flight, rates, bursts
insert into limits (name, in_flight, rate, burst)
select * from unnest($1::text[], $2::bigint[], $3::float8[], $4::bigint[])
on conflict (name) do update
set in_flight = excluded.in_flight, rate = excluded.rate, burst = excluded.burst;

-- name: meters
-- in: names   out: name, in_flight, rate, burst, leased, spent
select name, in_flight, rate, burst, leased, spent from limits where name = any ($1::text[]);

-- name: keep_meters
-- in: names, leased, spent
insert into limits (name, leased, spent)
select * from unnest($1::text[], $2::bigint[], $3::float8[])
on conflict (name) do update set leased = excluded.leased, spent = excluded.spent;

-- name: give_back
-- in: names, numbers
update limits set leased = leased - s.n from unnest($1::text[], $2::bigint[]) as s (name, n)
where limits.name = s.name;

-- name: forget_limits
-- Nobody has declared them, and no message uses them any more.
-- in: names
delete from limits
where name = any ($1::text[]) and leased <= 0 and in_flight is null and rate is null;

-- name: wake_all
-- Limits may have room: whoever waits for them may try.
-- in: names   out: queue
update wake set at = (select clock()) where name = any ($1::text[]) returning queue;

-- name: park
-- in: ids, limits, ranks
update job set lane = -2, waits_for = s.name, rank = s.rank
from unnest($1::text[], $2::text[], $3::float8[]) as s (id, name, rank)
where job.id = s.id;

-- name: unpark
-- Returns to its lane what has waited longest for a limit, as far as it is free.
-- in, one each: queue, kind, limit, n
update job set lane = 2 * band + 1, waits_for = null, rank = null
where ctid = any (array(
    select ctid from job where queue = $1 and kind = $2 and waits_for = $3
    order by rank, serial limit $4 for update skip locked));

-- name: any_parked
-- in, one each: queue, kind, limit
select exists (select 1 from job where queue = $1 and kind = $2 and waits_for = $3);

-- name: set_wake
-- in: queues, kinds, names, dates
insert into wake (queue, kind, name, at)
select * from unnest($1::text[], $2::smallint[], $3::text[], $4::float8[])
on conflict (queue, kind, name) do update set at = excluded.at;

-- name: drop_wake
-- in, one each: queue, kind, name
delete from wake where queue = $1 and kind = $2 and name = $3;

-- name: due_wakes
-- in, one each: queue, kind   out: name
select name from wake where queue = $1 and kind = $2 and at <= (select clock());

-- everything else: loaded, decided, written ------------------------------------------------------

-- name: lock
-- in: numbers, in their order   out: now
select clock() from (
    select count(pg_advisory_xact_lock(hashtext(current_schema()), n)::text)
    from unnest($1::int[]) as n) as locked;

-- name: load_open
-- in: ids   out: see rows.Job
select serial, place, due, enqueued, expires, lease_until, started, rank, keep_cancelled, attempt,
    failures, losses, releases, unknown, version, state, band, kind, lane, id, task, queue, key,
    limited_by, waits_for, holder, settled, head, body, error
from job where id = any ($1::text[]) order by id for update;

-- name: load_finished
-- in: ids   out: see rows.Job
select serial, due, null, enqueued, null, null, started, null, null, attempt, failures, losses,
    releases, unknown, version, state, band, 0, 0, id, task, queue, key, null, null, holder,
    settled, head, body, error, value, cause, finished, purge
from finished where id = any ($1::text[]) order by id for update;

-- name: open_lines
-- In which lines something is open.
-- in: queues, keys   out: queue, key
select queue, key from unnest($1::text[], $2::text[]) as l (queue, key)
where (select true from job where job.queue = l.queue and job.key = l.key limit 1);

-- name: load_records
-- in: keys   out: key, version, expires, owner
select key, version, expires, owner from record where key = any ($1::bytea[]);

-- name: load_logs
-- Makes those that are new.
-- in: names   out: name, id, last
select l.name, l.id, l.last from ends_of($1::bytea[]) as e, unnest($1::bytea[], e.ids, e.lasts)
    as l (name, id, last)

-- name: load_joins
-- in: names   out: name, need, arrived, fired, purge, messages
select name, need, arrived, fired, purge, messages from join_point
where name = any ($1::bytea[]);

-- name: load_members
-- in: joins, members   out: join, member
select name, member from unnest($1::bytea[], $2::bytea[]) as m (name, member)
where exists (select 1 from join_member
    where join_member.name = m.name and join_member.member = m.member);

-- name: was_unkept
-- in: holders, digests   out: digest
select digest from unnest($1::text[], $2::bytea[]) as s (holder, digest)
where exists (select 1 from unkept
    where unkept.holder = s.holder and position(s.digest in unkept.digests) > 0);

-- name: note_unkept
-- in: holders, digests
insert into unkept (until, holder, digests)
select clock() + 60, holder, digest from unnest($1::text[], $2::bytea[]) as s (holder, digest);

-- name: delete_open
-- in: ids
delete from job where id = any ($1::text[]);

-- name: delete_finished
-- in: ids
delete from finished where id = any ($1::text[]);

-- name: insert_open
-- in: see rows.Job   out: id
insert into job (serial, place, due, enqueued, expires, lease_until, started, rank, keep_cancelled,
    attempt, failures, losses, releases, unknown, version, state, band, kind, lane, id, task, queue,
    key, limited_by, waits_for, holder, settled, head, body, error)
select coalesce(serial, nextval('serials')), place, due, enqueued, expires, lease_until, started,
    rank, keep_cancelled, attempt, failures, losses, releases, unknown, version, state, band, kind,
    lane, id, task, queue, key, limited_by, waits_for, holder, settled, head, body, error
from unnest($1::bigint[], $2::float8[], $3::float8[], $4::float8[], $5::float8[], $6::float8[],
    $7::float8[], $8::float8[], $9::float8[], $10::int[], $11::int[], $12::int[], $13::int[],
    $14::int[], $15::int[], $16::smallint[], $17::smallint[], $18::smallint[], $19::smallint[],
    $20::text[], $21::text[], $22::text[], $23::text[], $24::text[], $25::text[], $26::text[],
    $27::bytea[], $28::bytea[], $29::bytea[], $30::bytea[])
    as j (serial, place, due, enqueued, expires, lease_until, started, rank, keep_cancelled,
    attempt, failures, losses, releases, unknown, version, state, band, kind, lane, id, task, queue,
    key, limited_by, waits_for, holder, settled, head, body, error)
on conflict (id) do nothing
returning id;

-- name: any_finished
-- in: ids
select exists (select 1 from finished where id = any ($1::text[]));

-- name: update_open
-- in: see rows.Job
update job set place = j.place, due = j.due, expires = j.expires, lease_until = j.lease_until,
    rank = j.rank, keep_cancelled = j.keep_cancelled, failures = j.failures, losses = j.losses,
    releases = j.releases, unknown = j.unknown, version = j.version, state = j.state,
    band = j.band, lane = j.lane, queue = j.queue, waits_for = j.waits_for, settled = j.settled,
    body = j.body, error = j.error
from unnest($1::bigint[], $2::float8[], $3::float8[], $4::float8[], $5::float8[], $6::float8[],
    $7::float8[], $8::float8[], $9::float8[], $10::int[], $11::int[], $12::int[], $13::int[],
    $14::int[], $15::int[], $16::smallint[], $17::smallint[], $18::smallint[], $19::smallint[],
    $20::text[], $21::text[], $22::text[], $23::text[], $24::text[], $25::text[], $26::text[],
    $27::bytea[], $28::bytea[], $29::bytea[], $30::bytea[])
    as j (serial, place, due, enqueued, expires, lease_until, started, rank, keep_cancelled,
    attempt, failures, losses, releases, unknown, version, state, band, kind, lane, id, task, queue,
    key, limited_by, waits_for, holder, settled, head, body, error)
where job.id = j.id;

-- name: insert_finished
-- in: see rows.Job
insert into finished (serial, due, enqueued, started, attempt, failures, losses, releases, unknown,
    version, state, band, id, task, queue, key, holder, settled, head, body, error, value, cause,
    finished, purge)
select coalesce(serial, nextval('serials')), coalesce(due, place), enqueued, started, attempt,
    failures, losses, releases, unknown, version, state, band, id, task, queue, key, holder,
    settled, head, body, error, value, cause, finished, purge
from unnest($1::bigint[], $2::float8[], $3::float8[], $4::float8[], $5::float8[], $6::float8[],
    $7::float8[], $8::float8[], $9::float8[], $10::int[], $11::int[], $12::int[], $13::int[],
    $14::int[], $15::int[], $16::smallint[], $17::smallint[], $18::smallint[], $19::smallint[],
    $20::text[], $21::text[], $22::text[], $23::text[], $24::text[], $25::text[], $26::text[],
    $27::bytea[], $28::bytea[], $29::bytea[], $30::bytea[], $31::bytea[], $32::text[],
    $33::float8[], $34::float8[])
    as j (serial, place, due, enqueued, expires, lease_until, started, rank, keep_cancelled,
    attempt, failures, losses, releases, unknown, version, state, band, kind, lane, id, task, queue,
    key, limited_by, waits_for, holder, settled, head, body, error, value, cause, finished, purge);

-- name: free_next
-- Those of these keys that were free have gone: the next are free, behind whatever is ready by now.
-- in: queues, keys   out: queue
update job set lane = 2 * band + (limited_by is not null)::int, due = coalesce(due, place),
    place = greatest(coalesce(due, place), (select clock())), waits_for = null, rank = null
where id = any (array(
    select (select id from job where job.queue = l.queue and job.key = l.key
        order by serial limit 1)
    from unnest($1::text[], $2::text[]) as l (queue, key)))
returning queue;

-- name: put_records
-- in: keys, versions, expires, owners, values
insert into record (key, version, expires, owner, value)
select * from unnest($1::bytea[], $2::bigint[], $3::float8[], $4::bytea[], $5::bytea[])
on conflict (key) do update set version = excluded.version, expires = excluded.expires,
    owner = excluded.owner, value = excluded.value;

-- name: drop_records
-- in: keys
delete from record where key = any ($1::bytea[]);

-- name: append_and_tell
-- In a transaction of its own; not where there is one already.
-- in: locks; names, counts of logs; of each entry its log, place and value; channel (one), payloads
call append_and_tell($1, $2, $3, $4, $5, $6, $7, $8, null);

-- name: append
-- in: locks; names, counts of logs; of each entry its log, place and value
select append($1, $2, $3, $4, $5, $6);

-- name: take_in
-- in: names, how much at most (one)
select take_in($1, $2);

-- name: end_logs
-- in: ids, last offsets
update log set last = s.last from unnest($1::int[], $2::bigint[]) as s (id, last)
where log.id = s.id;

-- name: insert_entries
-- in: ids of logs, offsets, values
insert into entry (log, "offset", appended, value)
select s.log, s.number, (select clock()), s.value
from unnest($1::int[], $2::bigint[], $3::bytea[]) as s (log, number, value);

-- name: trim
-- in: ids of logs, offsets
delete from entry using unnest($1::int[], $2::bigint[]) as s (log, upto)
where entry.log = s.log and entry."offset" <= s.upto;

-- name: keep_joins
-- in: names, needs, arrived, fired, purges, messages
insert into join_point (name, need, arrived, fired, purge, messages)
select * from unnest($1::bytea[], $2::int[], $3::int[], $4::bool[], $5::float8[], $6::bytea[])
on conflict (name) do update set need = excluded.need, arrived = excluded.arrived,
    fired = excluded.fired, purge = excluded.purge, messages = excluded.messages;

-- name: add_members
-- in: joins, members
insert into join_member (name, member) select * from unnest($1::bytea[], $2::bytea[]);

-- looks ------------------------------------------------------------------------------------------

-- name: get_records
-- in: keys   out: key, version, value, owner
select key, version, value, owner from record
where key = any ($1::bytea[]) and (expires is null or expires > (select clock()));

-- name: get_open
-- in: ids   out: see envelope.job_of
select id, task, queue, band, key, head, body, state, attempt, failures, losses, releases, unknown,
    enqueued, coalesce(due, place), started, null::float8, holder, null::bytea, error, version,
    keep_cancelled is not null
from job where id = any ($1::text[]);

-- name: get_finished
-- in: ids   out: see envelope.job_of
select id, task, queue, band, key, head, body, state, attempt, failures, losses, releases, unknown,
    enqueued, due, started, finished, holder, value, error, version, false
from finished where id = any ($1::text[]);

-- name: scan
-- in, one each: first key, before key or null, limit   out: key, version, value, owner
select key, version, value, owner from record
where key >= $1 and key < $2 and (expires is null or expires > (select clock()))
order by key limit $3;

-- name: scan_to_end
-- in, one each: first key, limit   out: key, version, value, owner
select key, version, value, owner from record
where key >= $1 and (expires is null or expires > (select clock())) order by key limit $2;

-- name: read
-- A last row of nulls says that something has arrived that has no place yet.
-- in, one each: log, after, limit   out: offset, value, appended
(select "offset", value, appended from entry
where log = (select id from log where name = $1) and "offset" > $2 order by "offset" limit $3)
union all
select null, null, null where exists (select from arrival where log = $1);

-- name: read_newest
-- The same from the end.
-- in, one each: log, limit   out: offset, value, appended
(select "offset", value, appended from entry
where log = (select id from log where name = $1) order by "offset" desc limit $2)
union all
select null, null, null where exists (select from arrival where log = $1);

-- name: peek
-- What waits in one lane of one kind, by due time and place.
-- in, one each: queue, kind, lane, limit   out: due, serial, id
select coalesce(due, place), serial, id from job
where state = 0 and queue = $1 and kind = $2 and lane = $3 order by place, serial limit $4;

-- name: lanes
-- Where anything waits in a queue, blocked or not.
-- in, one: queue   out: kind, lane
with recursive lanes as (
    (select kind, lane from job where state = 0 and queue = $1 order by kind, lane limit 1)
    union all
    select h.kind, h.lane from lanes p cross join lateral (
        select kind, lane from job
        where state = 0 and queue = $1 and (kind, lane) > (p.kind, p.lane)
        order by kind, lane limit 1) h)
select kind, lane from lanes;

-- name: queue_names
-- Every queue that holds work, by skipping from name to name along the two indexes.
-- out: queue
with recursive
    ready (queue) as (
        (select queue from job where state = 0 order by queue limit 1)
        union all
        select h.queue from ready p cross join lateral (
            select queue from job where state = 0 and queue > p.queue order by queue limit 1) h),
    held (queue) as (
        (select queue from job where state = 1 order by queue limit 1)
        union all
        select h.queue from held p cross join lateral (
            select queue from job where state = 1 and queue > p.queue order by queue limit 1) h)
select queue from ready union select queue from held order by 1;

-- name: count_queue
-- Counts stop at a cap.
-- in, one each: queue, cap   out: ready, delayed, leased
select
    (select count(*) from (select 1 from job
        where state = 0 and queue = $1 and place <= (select clock()) limit $2) as counted),
    (select count(*) from (select 1 from job
        where state = 0 and queue = $1 and place > (select clock()) limit $2) as counted),
    (select count(*) from (select 1 from job where state = 1 and queue = $1 limit $2) as counted);

-- name: depth
-- What waits in a queue, up to a cap.
-- in, one each: queue, cap   out: count
select count(*) from (select 1 from job where state = 0 and queue = $1 limit $2) as counted;

-- retention --------------------------------------------------------------------------------------

-- name: late
-- What waits past its time.
-- in, one: limit   out: id
select id from job where state = 0 and expires <= (select clock()) order by expires limit $1;

-- name: prune
-- Removes settled jobs of one state, those first whose time is over first.
-- in, one each: state, purge up to, limit
delete from finished where ctid = any (array(
    select ctid from finished where state = $1 and purge <= $2 order by purge limit $3
    for update skip locked));

-- name: bounds
-- Of each final state the first `purge`, and now.
-- in: states   out: now, state, purge
select clock(), s, (select purge from finished where state = s order by purge limit 1)
from unnest($1::smallint[]) as s;

-- name: purge_of_newest
-- When the record is to be removed that is so far from the newest of its state.
-- in, one each: state, how far   out: purge
select purge from finished where state = $1 order by purge desc limit 1 offset $2;

-- name: prune_records
-- in, one: limit
delete from record where ctid = any (array(
    select ctid from record where expires <= (select clock()) order by expires limit $1
    for update skip locked));

-- name: prune_unkept
-- in, one: limit
delete from unkept where ctid = any (array(
    select ctid from unkept where until <= (select clock()) order by until limit $1
    for update skip locked));

-- name: joins_over
-- in, one: limit   out: name
select name from join_point where purge <= (select clock()) order by purge limit $1;

-- name: drop_members
-- in: joins, limit (one)
delete from join_member where ctid = any (array(
    select ctid from join_member where name = any ($1::bytea[]) limit $2));

-- name: drop_joins
-- Those of which no member is left.
-- in: names
delete from join_point where name = any ($1::bytea[]) and purge <= (select clock())
    and not exists (select 1 from join_member where join_member.name = join_point.name);

-- searches ---------------------------------------------------------------------------------------
-- Ids of a range, newest first: from the first on, and before the second. Null leaves a filter open.
-- `far_...`: the id so far down from the top of the range.

-- name: search_open
-- in, one each: low, high, state, task, queue, limit   out: id
select id from job
where id >= $1 and id < $2 and ($3::smallint is null or state = $3) and ($4::text is null or task = $4)
    and ($5::text is null or queue = $5)
order by id desc limit $6;

-- name: far_open
-- in, one each: low, high, how far   out: id
select id from job where id >= $1 and id < $2 order by id desc limit 1 offset $3;

-- name: search_finished
-- in, one each: low, high, state, task, queue, limit   out: id
select id from finished
where id >= $1 and id < $2 and ($3::smallint is null or state = $3) and ($4::text is null or task = $4)
    and ($5::text is null or queue = $5)
order by id desc limit $6;

-- name: far_finished
-- in, one each: low, high, how far   out: id
select id from finished where id >= $1 and id < $2 order by id desc limit 1 offset $3;

-- name: search_ended
-- The same among those of one state that did not succeed.
-- in, one each: low, high, state, task, queue, limit   out: id
select id from finished
where state >= 3 and state = $3 and id >= $1 and id < $2 and ($4::text is null or task = $4)
    and ($5::text is null or queue = $5)
order by id desc limit $6;

-- name: far_ended
-- in, one each: low, high, how far, state   out: id
select id from finished where state >= 3 and state = $4 and id >= $1 and id < $2
order by id desc limit 1 offset $3;

-- name: search_caused
-- The same among those that ended for one cause; an empty one is none.
-- in, one each: low, high, state, task, queue, limit, cause   out: id
select id from finished
where state >= 3 and state = $3 and cause = $7 and id >= $1 and id < $2
    and ($4::text is null or task = $4) and ($5::text is null or queue = $5)
order by id desc limit $6;

-- name: far_caused
-- in, one each: low, high, how far, state, cause   out: id
select id from finished where state >= 3 and state = $4 and cause = $5 and id >= $1 and id < $2
order by id desc limit 1 offset $3;

-- name: oldest_caused
-- in, one each: low, high, state, cause   out: id or null
select id from finished where state >= 3 and state = $3 and cause = $4 and id >= $1 and id < $2
order by id limit 1;

-- name: causes
-- Every cause of some states, by skipping from one to the next.
-- in: states   out: state, cause
with recursive causes as (
    select f.state, f.cause from unnest($1::smallint[]) as s cross join lateral (
        select state, cause from finished where state >= 3 and state = s
        order by cause limit 1) f
    union all
    select f.state, f.cause from causes p cross join lateral (
        select state, cause from finished
        where state >= 3 and state = p.state and cause > p.cause order by cause limit 1) f)
select state, cause from causes;

-- name: search_waiting
-- The same where few are waiting: all of them are looked at.
-- in, one each: low, high, state, task, queue, limit   out: id
select id from job
where state = 0 and $3::smallint = 0 and ($5::text is null or queue = $5) and id >= $1 and id < $2
    and ($4::text is null or task = $4)
order by id desc limit $6;

-- name: some_waiting
-- Counts what waits anywhere, up to a cap.
-- in, one: cap   out: count
select count(*) from (select 1 from job where state = 0 limit $1) as counted;

-- name: search_running
-- in, one each: low, high, state, task, queue, limit   out: id
select id from job
where state = 1 and $3::smallint = 1 and ($5::text is null or queue = $5) and id >= $1 and id < $2
    and ($4::text is null or task = $4)
order by id desc limit $6;

-- name: about
-- About how many jobs there are, as far as the server knows.
select coalesce(sum(greatest(reltuples, 0)), 0)::bigint from pg_class
where oid in ('job'::regclass, 'finished'::regclass);
