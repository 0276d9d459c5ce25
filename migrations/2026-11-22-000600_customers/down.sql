drop table identities, customer_stats, customers;
