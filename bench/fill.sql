-- Fills one workspace: customers with their identities, and a year of touchpoints with everything
-- that the service counts while it takes them in. Same tables, same values, no service in between.
-- psql variables: workspace, channel, customers, touchpoints, busy (touchpoints of the first customer).
\set ON_ERROR_STOP on
set jit = off;
set timezone = 'UTC';
select setseed(0.5);

-- The n-th customer is 01<900000 + n>-0000-7000-8000-000000000000: a UUIDv7 between June 2024 and
-- September 2025 that load drivers can write without a list of ids.
create temp table people as
select ('01' || 900000 + n || '-0000-7000-8000-000000000000')::uuid as id, 900000 + n as number
  from generate_series(0, :customers - 1) n;

insert into customers
  (workspace_id, id, external_ids, first_name, last_name, email, locale, timezone, currency, addresses,
   lifecycle_stage, status, source, score, attributes, tags, search_key, version, created_at, updated_at)
select :'workspace', id, jsonb_build_array(jsonb_build_object('source', 'shop', 'id', 'c-' || number)),
       'Ada' || number, 'Lindqvist', 'c' || number || '@shop.example.com', 'de-AT', 'Europe/Vienna', 'EUR',
       '[{"type": "home", "is_default": true, "line1": "Bergstraße 12", "line2": null,
          "city": "Innsbruck", "region": null, "postal_code": "6020", "country": "AT"}]',
       case when number % 10 < 7 then 'customer' else 'lead' end, 'active', 'shop', 50,
       '{"shoe_size": 42, "favorite_sport": "climbing"}',
       array['newsletter'], 'ada' || number || ' lindqvist c' || number || '@shop.example.com c-' || number,
       1, at, at
  from people, lateral (
    select timestamptz '1970-01-01Z' + interval '1 millisecond'
             * ('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint as at) made;

insert into identities
  (workspace_id, id, customer_id, origin_customer_id, type, source, value, value_norm, is_primary, created_at)
select :'workspace', ('01' || number || '-0000-7000-9000-00000000000' || mark)::uuid, id, id, type, source,
       value, coalesce(source || ':', '') || value, type = 'email', now()
  from people, lateral (values
    (1, 'email', null, 'c' || number || '@shop.example.com'),
    (2, 'external', 'shop', 'c-' || number)) as marks (mark, type, source, value);

select ensure_touchpoints_partition((now() - interval '1 year' + n * interval '1 month')::date)
  from generate_series(0, 12) n;

-- Evenly over the past year, oldest first. Every so many-th is the first customer's, the others
-- fall on the rest at random.
create temp table happened as
select ('0' || to_hex(ms) || '7000' || '8000' || lpad(to_hex(i), 12, '0'))::uuid as id, i,
       timestamptz '1970-01-01Z' + ms * interval '1 millisecond' as at,
       ('01' || 900000 + case when i % (:touchpoints / :busy) = 0 then 0
                              else 1 + floor(random() * (:customers - 1))::integer end
        || '-0000-7000-8000-000000000000')::uuid as customer_id,
       case when dice < 0.55 then 'product.viewed' when dice < 0.75 then 'message.opened'
            when dice < 0.90 then 'message.sent' else 'order.placed' end as type,
       case when dice between 0.75 and 0.90 then 'outbound' else 'inbound' end as direction
  from (select i, random() as dice,
               (extract(epoch from now() - interval '1 year') * 1000
                 + (i::numeric / :touchpoints) * 31449600000)::bigint as ms
          from generate_series(0, :touchpoints - 1) i) drawn;

insert into touchpoints
  (workspace_id, id, customer_id, origin_customer_id, channel_id, direction, type, received_at, source,
   message_id, subject, actor, value_amount, value_currency, context, properties)
select :'workspace', id, customer_id, customer_id, :'channel', direction, type, at, 'shop', 'f-' || i,
       jsonb_build_object('type', 'product', 'id', 'sku-' || i % 997),
       jsonb_build_object('type', 'customer', 'id', customer_id),
       case when type = 'order.placed' then 4990 end, case when type = 'order.placed' then 'EUR' end,
       case when type = 'product.viewed' then
         '{"page": {"url": "https://shop.example.com/boots", "path": "/boots", "title": "Boots"},
           "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:136.0) Gecko/20100101 Firefox/136.0"}'::jsonb end,
       jsonb_build_object('category', 'boots', 'price', 4990, 'quantity', 1, 'session', 's-' || i)
  from happened order by id;

insert into touchpoint_keys (workspace_id, source, message_id, touchpoint_id, created_at)
select :'workspace', 'shop', 'f-' || i, id, now() from happened;

insert into customer_activity (workspace_id, customer_id, type, n, first_at, last_at)
select :'workspace', customer_id, type, count(*), min(at), max(at) from happened group by 2, 3;

insert into customer_stats
  (workspace_id, customer_id, touchpoints_count, first_seen_at, last_seen_at, last_contacted_at)
select :'workspace', customer_id, count(*), min(at) filter (where direction = 'inbound'),
       max(at) filter (where direction = 'inbound'), max(at) filter (where direction = 'outbound')
  from happened group by 2;

insert into touchpoint_counts (workspace_id, at, channel_id, type, slot, n)
select :'workspace', date_bin('15 minutes', at, '1970-01-01Z'), :'channel', type, 0, count(*) from happened group by 2, 4;

drop table happened, people;
