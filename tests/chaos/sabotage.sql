-- Each trigger breaks one promise for one job in 32, chosen by the end of its id.

create table sabotaged (invariant text not null, id text not null) strict;

-- I1: a message is acknowledged, and is not kept.
create trigger lie_lose after insert on job when new.id glob '*[0-7]3'
begin
    insert into sabotaged values ('I1', new.id);
    delete from job where serial = new.serial;
end;

-- I2: a message appears that nobody sent.
create trigger lie_ghost after insert on job when new.id glob '*[0-7]4' and new.id not like 'ghost%'
begin
    insert into sabotaged values ('I2', 'ghost-' || new.id);
    insert into job (id, task, queue, band, lane, place, enqueued, head, body)
    values ('ghost-' || new.id, new.task, new.queue, new.band, new.lane, new.place,
            new.enqueued, new.head, new.body);
end;

-- I3: a settled job is opened again, and so settles twice.
create trigger lie_reopen after update of state on job
when new.state = 2 and new.id glob '*[0-7]5' and new.attempt < 3
begin
    insert into sabotaged values ('I3', new.id);
    update job set state = 0 where serial = new.serial;
end;

-- I4: an attempt number that was issued is issued again; to short calls, so that no run overlaps.
create trigger lie_reset after update of attempt on job
when new.id glob '*6' and new.task = 'plain' and old.started is null
begin
    insert into sabotaged values ('I4', new.id);
    update job set attempt = 0 where serial = new.serial;
end;

-- I6: a job gets the result of another.
create trigger lie_swap after update of state on job when new.state = 2 and new.id glob '*[0-7]7'
begin
    insert into sabotaged values ('I6', new.id);
    update job
    set value = (select value from job where state = 2 and serial < new.serial limit 1)
    where serial = new.serial;
end;
