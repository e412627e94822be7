-- The whole schema, as a new file gets it; migrations/ brings older files to the same.
-- One row is one job, from its publishing until it is pruned.
-- Times are seconds since the Unix epoch, UTC; lease_until is read on the boot clock.

create table meta (
    name text primary key,
    value text not null
) strict, without rowid;

create table job (
    serial integer primary key,          -- order of publishing; breaks ties between equal dues
    id text not null unique,
    task text not null,
    queue text not null,
    band integer not null,
    key text,
    state integer not null default 0,    -- 0 queued, 1 running, 2.. settled: see rows.py
    due real not null,
    enqueued real not null,
    attempt integer not null default 0,  -- grows at every claim, never reset: the fence
    failures integer not null default 0,
    losses integer not null default 0,
    releases integer not null default 0,
    version integer not null default 1,  -- grows with every change of the row
    holder text,                         -- who has the lease, or had it last
    lease_until real,
    started real,
    finished real,
    purge real,                          -- when the record may be removed
    settled blob,                        -- digest of the settle that ended the last attempt
    head blob,                           -- the rest of the message, as JSON; null if all default
    body blob not null,
    value blob,
    error blob,                          -- a Failure, as JSON
    expires real                         -- after this it must not start
) strict;

-- What waits, in the order it is claimed. Delayed and retried messages are here too.
create index ready on job (queue, band, due) where state = 0;
create index leased on job (queue, lease_until) where state = 1;
-- What is settled, in the order in which it may be removed.
create index kept on job (state, purge) where state >= 2;
-- What may end without having been started.
create index expiring on job (expires) where state = 0 and expires is not null;

create table record (
    key text primary key,
    version integer not null,
    value blob not null
) strict, without rowid;
