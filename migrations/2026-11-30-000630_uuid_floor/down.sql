create or replace function uuid_v7_floor(at timestamptz) returns uuid language sql immutable as $$
  select (lpad(to_hex((extract(epoch from at) * 1000)::bigint & x'ffffffffffff'::bigint), 12, '0')
          || '70008000000000000000')::uuid
$$;
