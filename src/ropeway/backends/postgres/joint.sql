
-- Adds messages without keys in the transaction of whoever calls it, over a connection of its own:
-- so one text holds them all, which every client library can send, and the schema is found whatever
-- the search path is. Those that wait hear of it when that transaction commits.
create function publish_jointly(given text) returns void language plpgsql
set search_path from current as $$
declare
    at constant float8 := clock();
begin
    insert into job (serial, id, task, queue, band, kind, lane, place, enqueued, expires, limited_by,
        head, body)
    select nextval('serials'), m.id, m.task, m.queue, m.band, m.kind,
        2 * m.band + (m.limited_by is not null)::int, coalesce(m.due, at + m.delay), at,
        coalesce(coalesce(greatest(m.due, at), at + m.delay) + m.within, m.expires), m.limited_by,
        decode(m.head, 'base64'), decode(m.body, 'base64')
    from jsonb_to_recordset(given::jsonb -> 'messages') as m (id text, task text, queue text,
        band smallint, kind smallint, due float8, delay float8, expires float8, within float8,
        limited_by text, head text, body text)
    on conflict (id) do nothing;
    perform pg_notify(current_schema(), hint)
    from jsonb_array_elements_text(given::jsonb -> 'hints') as hint;
end $$;
