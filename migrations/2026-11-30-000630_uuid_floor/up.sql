-- Exact to the microsecond, as the ids are: whole milliseconds were rounded, so that what happened within
-- the same millisecond as an order could count as after it. Months begin at the same ids as before.
create or replace function uuid_v7_floor(at timestamptz) returns uuid language sql immutable as $$
  select (lpad(to_hex(greatest((extract(epoch from at) * 1000000)::bigint, 0) / 1000), 12, '0') || '7'
          || lpad(to_hex((greatest((extract(epoch from at) * 1000000)::bigint, 0) % 1000 * 4096 + 999) / 1000),
                  3, '0')
          || '8000000000000000')::uuid
$$;
