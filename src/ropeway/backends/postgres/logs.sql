-- What is appended in somebody else's transaction, until it has a place in its log. It gets one, behind
-- the log's lock, from whoever appends to that log or reads it next, when it is committed: so nobody
-- waits for the end of that transaction, and no offset comes up below one that was seen.
create table arrival (
    log bytea not null,                  -- its name
    serial bigint not null,
    appended float8 not null,
    value bytea not null,
    primary key (log, serial)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0);

-- Gives places to what has arrived for some logs, to so much at most; returns whether that was all.
-- To be called behind the locks of the logs.
create function take_in(names bytea[], most integer) returns boolean language plpgsql as $$
declare
    taken integer;
begin
    if not exists (select from arrival where log = any (names)) then
        return true;
    end if;
    insert into log (name, last) select n, 0 from unnest(names) as n on conflict (name) do nothing;
    with gone as (
        delete from arrival where ctid = any (array(
            select a.ctid from arrival as a where a.log = any (names)
            order by a.log, a.serial limit most))
        returning arrival.log, serial, arrival.appended, arrival.value),
    placed as (
        select l.id, l.last + row_number() over (partition by l.id order by g.serial) as number,
            max(g.appended) over (partition by l.id order by g.serial) as appended, g.value
        from gone as g join log as l on l.name = g.log),
    written as (
        -- Times do not go down along a log, so that an instant is found in it by halving.
        insert into entry (log, "offset", appended, value)
        select p.id, p.number, greatest(p.appended, (select e.appended from entry as e
            where e.log = p.id order by e."offset" desc limit 1)), p.value
        from placed as p),
    counted as (
        select gone.log, count(*) as many from gone group by gone.log),
    ended as (
        update log set last = log.last + c.many from counted as c where log.name = c.log)
    select sum(many) into taken from counted;
    return taken < most;
end $$;

-- Of logs by name, the numbers and last offsets, in the order asked, with all that has arrived for them.
-- Makes those that are new.
create function ends_of(names bytea[], out ids integer[], out lasts bigint[]) language plpgsql as $$
begin
    while not take_in(names, 10000) loop end loop;
    for attempt in 1..2 loop
        select array_agg(l.id order by o.place), array_agg(l.last order by o.place)
        into ids, lasts
        from unnest(names) with ordinality as o (name, place) join log as l on l.name = o.name;
        exit when cardinality(ids) = cardinality(names);
        insert into log (name, last) select n, 0 from unnest(names) as n on conflict (name) do nothing;
    end loop;
end $$;

-- Appends entries, of each its log by its place among the names, and its place among those of the log.
-- Returns the last offsets before; null if so much had arrived that it has only taken in some of that.
create function append(locks integer[], names bytea[], counts integer[], logs integer[],
    steps integer[], given bytea[]) returns bigint[] language plpgsql as $$
declare
    ids integer[];
    lasts bigint[];
begin
    perform pg_advisory_xact_lock(hashtext(current_schema()), n) from unnest(locks) as n;
    if not take_in(names, 2000) then
        return null;
    end if;
    select e.ids, e.lasts into ids, lasts from ends_of(names) as e;
    insert into entry (log, "offset", appended, value)
    select ids[g.log], lasts[g.log] + g.step, (select clock()), g.value
    from unnest(logs, steps, given) as g (log, step, value);
    update log set last = log.last + s.many from unnest(ids, counts) as s (id, many)
    where log.id = s.id;
    return lasts;
end $$;

-- The same as a transaction of its own, and then, when that is on the disk, tells those who wait.
create procedure append_and_tell(locks integer[], names bytea[], counts integer[], logs integer[],
    steps integer[], given bytea[], channel text, hints text[], inout lasts bigint[])
language plpgsql as $$
begin
    lasts := append(locks, names, counts, logs, steps, given);
    commit;
    perform pg_notify(channel, hint) from unnest(hints) as hint;
end $$;

-- Appends in the transaction of whoever calls it, over a connection of its own: see publish_jointly.
create function append_jointly(given text) returns void language plpgsql
set search_path from current as $$
declare
    at constant float8 := clock();
begin
    insert into arrival (log, serial, appended, value)
    select convert_to(e.entry ->> 0, 'UTF8'), nextval('serials'), at, decode(e.entry ->> 1, 'base64')
    from jsonb_array_elements(given::jsonb -> 'entries') with ordinality as e (entry, place)
    order by e.place;
    perform pg_notify(current_schema(), hint)
    from jsonb_array_elements_text(given::jsonb -> 'hints') as hint;
end $$;
