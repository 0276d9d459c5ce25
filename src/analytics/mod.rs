//! What the log and the orders add up to: figures, and charts that show them.

mod attribution;
mod chart;
mod clv;
mod cohorts;
mod funnel;
mod orders;
mod period;
mod products;
mod query;
mod rfm;

use serde::Serialize;

use crate::auth::{Caller, Scope};
use crate::db::Conn;
use crate::error::Result;
use crate::http::reply::Plain;
use crate::http::{Query, Reply, ServiceConfig};
use chart::{Chart, ChartStyle, Drawing};
use period::Calendar;

pub fn routes(api: &mut ServiceConfig) {
    api.service(query::query_analytics)
        .service(query::get_analytics_query_chart)
        .service(orders::get_order_analytics)
        .service(orders::get_order_analytics_chart)
        .service(products::get_product_analytics)
        .service(products::get_product_analytics_chart)
        .service(rfm::get_rfm)
        .service(rfm::get_rfm_chart)
        .service(rfm::list_rfm_customers)
        .service(clv::get_clv)
        .service(clv::get_clv_chart)
        .service(cohorts::get_cohorts)
        .service(cohorts::get_cohorts_chart)
        .service(funnel::get_funnel)
        .service(funnel::get_funnel_chart)
        .service(attribution::get_attribution)
        .service(attribution::get_attribution_chart);
}

/// Answers with figures, read where reports are read.
async fn show<T: Serialize>(
    caller: Caller,
    work: impl Fn(&mut Conn, &Calendar) -> Result<T> + Send + 'static,
) -> Result<Reply> {
    let grant = caller.must(Scope::AnalyticsRead)?;
    grant
        .list(move |conn| {
            let calendar = Calendar::of(conn)?;
            work(conn, &calendar).map(Plain)
        })
        .await
}

/// Answers with a chart of figures.
async fn draw(
    caller: Caller,
    style: Query<ChartStyle>,
    work: impl Fn(&mut Conn, &Calendar) -> Result<Chart> + Send + 'static,
) -> Result<Reply> {
    let grant = caller.must(Scope::AnalyticsRead)?;
    grant
        .list(move |conn| {
            let calendar = Calendar::of(conn)?;
            Ok(Drawing { chart: work(conn, &calendar)?, theme: style.theme })
        })
        .await
}

/// A part of a whole from 0 to 1, to four decimals; 0 of nothing.
fn ratio(part: i64, whole: i64) -> f64 {
    if whole == 0 { 0.0 } else { rounded(part as f64 / whole as f64, 4) }
}

fn rounded(value: f64, decimals: i32) -> f64 {
    let unit = 10_f64.powi(decimals);
    (value * unit).round() / unit
}
