-- The whole schema; the search path names where it goes.
-- What waits or runs is a row of `job`; what is settled has gone from there to `finished`, written
-- once. Times are seconds since the Unix epoch, UTC, on the server's clock. Names that people give
-- to records, logs and joins are bytes: any text goes, in the order of its UTF-8 bytes.

create function clock() returns float8 language sql volatile parallel safe
as $$ select extract(epoch from clock_timestamp())::float8 $$;

create sequence serials as bigint cache 1;

create table job (
    serial bigint not null,              -- order of publishing; breaks ties between equal dues
    place float8 not null,               -- what it is ordered by: due, or when its key was free
    due float8,                          -- if that is another time than its place
    enqueued float8 not null,
    expires float8,                      -- after this it must not start
    lease_until float8,
    started float8,
    rank float8,                         -- its turn among those that wait for a limit
    keep_cancelled float8,               -- it is to be cancelled, and how long to be kept then
    attempt integer not null default 0,  -- grows at every claim, never reset: the fence
    failures integer not null default 0,
    losses integer not null default 0,
    releases integer not null default 0,
    unknown integer not null default 0,  -- how many of the releases: the task was not known
    version integer not null default 1,  -- grows with every change of the row
    state smallint not null default 0,   -- 0 queued, 1 running: see envelope.py
    band smallint not null,
    kind smallint not null,              -- what runs it: see envelope.py
    lane smallint not null,              -- where it waits: see lanes.py
    id text collate "C" not null primary key,
    task text collate "C" not null,
    queue text collate "C" not null,
    key text collate "C",
    limited_by text collate "C",         -- the names of its limits, as JSON; null if none
    waits_for text collate "C",          -- the limit that holds it back
    holder text collate "C",             -- who has the lease, or had it last
    settled bytea,                       -- digest of the release that ended the last attempt
    head bytea,                          -- the rest of the message, as JSON; null if all default
    body bytea not null,
    error bytea                          -- a Failure, as JSON
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_insert_scale_factor = 0.2);

-- What waits, lane by lane in the order it is claimed. Delayed and retried messages are here too.
create index lanes on job (queue, kind, lane, place, serial) where state = 0;
create index leased on job (queue, kind, lease_until, serial) where state = 1;
-- Of each key what is open, by publishing. One of them is not blocked by it: see model.py.
create index keyed on job (queue, key, serial) where key is not null;
-- What waits for a limit, in the order of its turn.
create index parked on job (queue, kind, waits_for, rank, serial) where waits_for is not null;
-- What may end without having been started, and what is to be cancelled.
create index expiring on job (expires) where state = 0 and expires is not null;
create index flagged on job (lease_until) where keep_cancelled is not null;

create table finished (
    serial bigint not null,
    due float8 not null,
    enqueued float8 not null,
    started float8,
    finished float8 not null,
    purge float8 not null,               -- when the record may be removed
    attempt integer not null,
    failures integer not null,
    losses integer not null,
    releases integer not null,
    unknown integer not null,
    version integer not null,
    state smallint not null,             -- 2 and more: see envelope.py
    band smallint not null,
    id text collate "C" not null primary key,
    task text collate "C" not null,
    queue text collate "C" not null,
    key text collate "C",
    holder text collate "C",
    cause text collate "C" not null default '', -- the fingerprint of its error, if it has one
    settled bytea,                       -- digest of the settle that ended the last attempt
    head bytea,
    body bytea not null,
    value bytea,
    error bytea
) with (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);

-- In the order in which it may be removed.
create index kept on finished (state, purge);
-- What did not succeed, for people: newest first, and by what it failed of. Success pays nothing.
create index ended on finished (state, id) where state >= 3;
create index caused on finished (state, cause, id) where state >= 3;

-- What was settled and is not kept, one row a commit: who sends its settle again is to hear so.
create table unkept (
    until float8 not null,
    holder text collate "C" not null,
    digests bytea not null               -- of 8 bytes each
);
create index unkept_of on unkept (holder);
create index unkept_until on unkept (until);

create table record (
    key bytea primary key,
    version bigint not null,
    expires float8,                      -- from then on it counts as absent, until it is removed
    owner bytea not null,
    value bytea not null
);
create index record_expiring on record (expires) where expires is not null;

-- The end of each log: an offset is never given twice.
create table log (
    id integer generated always as identity primary key,
    name bytea not null unique,
    last bigint not null
) with (fillfactor = 50);

create table entry (
    log integer not null,
    "offset" bigint not null,
    appended float8 not null,
    value bytea not null,
    primary key (log, "offset")
);

-- What is published when enough members have arrived, and the members.
create table join_point (
    name bytea primary key,
    need integer,                        -- null: some have arrived before it was made
    arrived integer not null,            -- the number of its members
    fired boolean not null,
    purge float8 not null,               -- when it is forgotten, fired or not
    messages bytea                       -- as msgpack; null when it has fired
) with (fillfactor = 50);
create index join_over on join_point (purge);

create table join_member (
    name bytea not null,
    member bytea not null,
    primary key (name, member)
);

create table limits (
    name text collate "C" primary key,
    in_flight bigint,                    -- null: any number
    rate float8,                         -- per second; null: any
    burst bigint not null default 1,
    leased bigint not null default 0,    -- how many leased messages name it
    spent float8 not null default 0      -- up to when the rate is spent
) with (fillfactor = 50);

-- Which limits hold something back in a queue, and when that may be over; null: after a settle.
create table wake (
    queue text collate "C" not null,
    kind smallint not null,
    name text collate "C" not null,
    at float8,
    primary key (queue, kind, name)
) with (fillfactor = 50);
create index waking on wake (queue, kind, at);
create index waking_for on wake (name);

-- Of ids of which the fresh ones were just added, returns those that are known already. What has
-- finished since the insert began is seen here alone, by a new snapshot, and taken back.
create function known_of(ids text[], fresh text[]) returns text[] language plpgsql as $$
declare
    ended text[];
begin
    select array_agg(finished.id) into ended from finished where finished.id = any (fresh);
    if ended is null and cardinality(fresh) = cardinality(ids) then
        return '{}';
    end if;
    delete from job where job.id = any (ended);
    return array(select i from unnest(ids) i
        where i <> all (coalesce(fresh, '{}')) or i = any (coalesce(ended, '{}')));
end $$;

-- Adds messages without keys and limits; returns the ids of those that are known already.
create function publish(ids text[], tasks text[], queues text[], bands smallint[], kinds smallint[],
    dues float8[], delays float8[], expiries float8[], withins float8[], heads bytea[],
    bodies bytea[]) returns text[] language plpgsql as $$
declare
    fresh text[];
    at constant float8 := clock();
begin
    with added as (
        insert into job (serial, id, task, queue, band, kind, lane, place, enqueued, expires, head,
            body)
        select nextval('serials'), m.id, m.task, m.queue, m.band, m.kind, 2 * m.band,
            coalesce(m.due, at + m.delay), at,
            coalesce(m.within + case when m.due is null then at + m.delay else greatest(m.due, at) end,
                m.expires), m.head, m.body
        from unnest(ids, tasks, queues, bands, kinds, dues, delays, expiries, withins, heads,
            bodies) as m (id, task, queue, band, kind, due, delay, expires, within, head, body)
        on conflict (id) do nothing
        returning job.id)
    select array_agg(added.id) into fresh from added;
    return known_of(ids, fresh);
end $$;

-- The same for messages that differ in nothing but their ids and bodies, as most that are sent do. They
-- are new, nearly always: then it costs a third less not to look first whether they are.
create function publish_alike(ids text[], bodies bytea[], task text, queue text, band smallint,
    kind smallint, due float8, delay float8, expiry float8, within float8, head bytea)
    returns text[] language plpgsql as $$
declare
    number constant int[] := array[cardinality(ids)];
    at constant float8 := clock();
    placed constant float8 := coalesce(due, at + delay);
    ends constant float8 :=
        coalesce(within + case when due is null then placed else greatest(due, at) end, expiry);
begin
    insert into job (serial, id, task, queue, band, kind, lane, place, enqueued, expires, head, body)
    select nextval('serials'), m.id, publish_alike.task, publish_alike.queue, publish_alike.band,
        publish_alike.kind, 2 * publish_alike.band, placed, at, ends, publish_alike.head, m.body
    from unnest(ids, bodies) as m (id, body);
    return known_of(ids, ids);
exception when unique_violation then
    return publish(ids, array_fill(task, number), array_fill(queue, number),
        array_fill(band, number), array_fill(kind, number), array_fill(due, number),
        array_fill(delay, number), array_fill(expiry, number), array_fill(within, number),
        array_fill(head, number), bodies);
end $$;

-- The former as transactions of their own, and who waits is told in between. Those are told as soon as
-- the messages can be seen, for the disk is waited for last: meanwhile they hear of it. Whoever claims
-- them waits for the disk as well, which then has what was written before: see docs/decisions/0060.
-- NOTIFY is a commit apart, with nothing to flush, for commits queue at its lock.
create procedure publish_and_tell(ids text[], tasks text[], queues text[], bands smallint[],
    kinds smallint[], dues float8[], delays float8[], expiries float8[], withins float8[],
    heads bytea[], bodies bytea[], channel text, hints text[], inout known text[]) language plpgsql
as $$
begin
    perform set_config('synchronous_commit', 'off', true);
    known := publish(ids, tasks, queues, bands, kinds, dues, delays, expiries, withins, heads, bodies);
    commit;
    perform pg_notify(channel, hint) from unnest(hints) hint;
    commit;
    perform pg_logical_emit_message(true, '', '');
end $$;

create procedure publish_alike_and_tell(joined text, bodies bytea[], task text, queue text,
    band smallint, kind smallint, due float8, delay float8, expiry float8, within float8, head bytea,
    channel text, hints text[], inout known text[]) language plpgsql as $$
begin
    perform set_config('synchronous_commit', 'off', true);
    known := publish_alike(string_to_array(joined, ','), bodies, task, queue, band, kind, due, delay,
        expiry, within, head);
    commit;
    perform pg_notify(channel, hint) from unnest(hints) hint;
    commit;
    perform pg_logical_emit_message(true, '', '');
end $$;

-- Settles for good what has no key and no limits and is not kept, of one holder, each in an attempt of
-- the same number, and then tells who waits. What is noted of it are the digests, 8 bytes each. Gives
-- back the ids of which it was done, and null if that is all. Why `state + 0`: see statements.sql. By
-- the index of the ids, as the plan is pinned: so rows are locked in the order of their ids, as by
-- everybody who changes several.
create procedure finish_unkept_and_tell(joined text, number int, lessee text, digests bytea,
    channel text, hints text[], inout done text[]) language plpgsql as $$
declare
    ids constant text[] := string_to_array(joined, ',');
    ended text[];
    last float8;
begin
    with gone as (
        delete from job
        where id = any (ids) and attempt = number and holder = lessee and state + 0 = 1
            and key is null and limited_by is null
        returning id, lease_until)
    select coalesce(array_agg(id), '{}'), max(lease_until) into ended, last from gone;
    if cardinality(ended) < cardinality(ids) then
        done := ended;
        digests := (
            select string_agg(substring(digests from 8 * i::int - 7 for 8), '')
            from unnest(ids) with ordinality as given (id, i) where id = any (ended));
    end if;
    if cardinality(ended) > 0 then
        insert into unkept (until, holder, digests)
        values (greatest(last, clock() + 60), lessee, finish_unkept_and_tell.digests);
    end if;
    commit;
    perform pg_notify(channel, hint) from unnest(hints) hint;
end $$;
