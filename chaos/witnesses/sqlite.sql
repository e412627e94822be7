-- The witness of a run: triggers that write down every claim and every settle of a job, inside the
-- transaction that makes it. {lease} is what the row says of the lease, or null.

create table chaos_witness (
    serial integer primary key autoincrement,
    kind text not null,
    t real not null,
    id text not null,
    attempt integer not null,
    holder text,
    state integer not null,
    before_attempt integer not null,
    before_state integer not null,
    before_holder text,
    before_lease real,
    value blob
) strict;

create trigger chaos_claimed after update of attempt on job
begin
    insert into chaos_witness
        (kind, t, id, attempt, holder, state, before_attempt, before_state, before_holder, before_lease)
    values
        ('claimed', unixepoch('subsec'), new.id, new.attempt, new.holder, new.state,
         old.attempt, old.state, old.holder, {lease});
end;

-- Also what settles a job that is settled already.
create trigger chaos_settled after update of state on job when new.state >= 2
begin
    insert into chaos_witness
        (kind, t, id, attempt, holder, state, before_attempt, before_state, value)
    values
        ('settled', unixepoch('subsec'), new.id, new.attempt, new.holder, new.state,
         old.attempt, old.state, new.value);
end;
