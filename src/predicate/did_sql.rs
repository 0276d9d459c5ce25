//! "Has done this so often" for the database: from the counters where they know it, otherwise by
//! counting touchpoints, no further than needed.

use diesel::result::QueryResult;
use diesel::sql_types::{BigInt, Text, Timestamptz, Uuid};

use super::compile::{self, Out};
use super::tree::CheckedDid;

/// A condition that is never null.
pub(super) fn did<'b>(did: &'b CheckedDid, out: &mut Out<'_, 'b>) -> QueryResult<()> {
    if did.is_in_rollup() {
        rollup(did, out)
    } else if did.is_once() {
        out.push_sql("exists (");
        touchpoints(did, out)?;
        out.push_sql(")");
        Ok(())
    } else if did.at_most == Some(0) {
        out.push_sql("not exists (");
        touchpoints(did, out)?;
        out.push_sql(")");
        Ok(())
    } else {
        count(did, out)
    }
}

/// `customer_activity` has one row per customer and type; none means never.
fn rollup<'b>(did: &'b CheckedDid, out: &mut Out<'_, 'b>) -> QueryResult<()> {
    out.push_sql(if did.at_least == 0 { "not exists (" } else { "exists (" });
    out.push_sql("select 1 from customer_activity where ");
    of_customer("customer_activity", did, out)?;
    if did.at_least > 0 {
        out.push_sql(" and customer_activity.n >= ");
        out.push_bind_param::<BigInt, _>(&did.at_least)?;
    }
    if let Some(at_most) = &did.at_most {
        out.push_sql(" and customer_activity.n");
        out.push_sql(if did.at_least > 0 { " <= " } else { " > " });
        out.push_bind_param::<BigInt, _>(at_most)?;
    }
    if let Some(since) = &did.since {
        out.push_sql(" and customer_activity.last_at >= ");
        out.push_bind_param::<Timestamptz, _>(&since.time)?;
    }
    out.push_sql(")");
    Ok(())
}

/// Compared inside, for `between` around a subquery would run it twice.
fn count<'b>(did: &'b CheckedDid, out: &mut Out<'_, 'b>) -> QueryResult<()> {
    out.push_sql("select count(*) >= ");
    out.push_bind_param::<BigInt, _>(&did.at_least)?;
    if let Some(at_most) = &did.at_most {
        out.push_sql(" and count(*) <= ");
        out.push_bind_param::<BigInt, _>(at_most)?;
    }
    out.push_sql(" from (");
    touchpoints(did, out)?;
    out.push_sql(" limit ");
    out.push_bind_param::<BigInt, _>(&did.enough)?;
    out.push_sql(") as counted");
    Ok(())
}

/// The bound on the id is one on the time, and leaves whole partitions out.
fn touchpoints<'b>(did: &'b CheckedDid, out: &mut Out<'_, 'b>) -> QueryResult<()> {
    out.push_sql("select 1 from touchpoints where ");
    of_customer("touchpoints", did, out)?;
    if let Some(since) = &did.since {
        out.push_sql(" and touchpoints.id >= ");
        out.push_bind_param::<Uuid, _>(&since.id)?;
    }
    if let Some(condition) = &did.condition {
        out.push_sql(" and ");
        compile::node(condition, out)?;
    }
    Ok(())
}

fn of_customer<'b>(
    table: &'static str,
    did: &'b CheckedDid,
    out: &mut Out<'_, 'b>,
) -> QueryResult<()> {
    for (column, outer) in
        [("workspace_id", did.columns.workspace_id), ("customer_id", did.columns.customer_id)]
    {
        for sql in [table, ".", column, " = ", outer, " and "] {
            out.push_sql(sql);
        }
    }
    out.push_sql(table);
    out.push_sql(".type = ");
    out.push_bind_param::<Text, _>(&did.kind)
}
