//! The demo workspace: a shop's day, made up once and loaded like anybody's data.

use std::fs;
use std::path::Path;

use chrono::{NaiveDate, Utc};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::boot::{self, Database};
use super::keys::{self, KeyOptions};
use super::{Result, print};
use crate::app::App;
use crate::auth::key::KeyKind;
use crate::config::Config;
use crate::customers::references::OnUnknownCustomer;
use crate::db::{Actor, Outcome, Tx};
use crate::demo::{self, Day};
use crate::error::Error;
use crate::{attributes, channels, customers, orders, organizations, products, touchpoints};

const SLUG: &str = "demo";
const SEED: u64 = 42;
/// The day of the committed examples.
const EXAMPLE_DAY: (i32, u32, u32) = (2026, 3, 14);

/// Writes the example files.
pub fn write_examples(folder: &Path) -> Result<()> {
    let (year, month, day) = EXAMPLE_DAY;
    let date = NaiveDate::from_ymd_opt(year, month, day).expect("BUG: a real date");
    demo::write_examples(folder, SEED, date).map_err(|error| error.to_string())
}

/// Loads the demo workspace and prints a key to it.
pub fn load(config: Config) -> Result<()> {
    let database = Database::open(&config)?;
    database.migrate()?;
    let app = boot::app(config, &database)?;
    let key = ensure_demo(&app)?;
    print(&format!("{key}\n"))
}

/// The key of the demo workspace, which is made and filled where it is missing.
pub fn ensure_demo(app: &App) -> Result<String> {
    let text = |error: Error| error.to_string();
    let file = app.config.data_dir.join("demo_key");
    let known = keys::find_workspace(app, SLUG).map_err(text)?;
    if known.is_some()
        && let Ok(key) = fs::read_to_string(&file)
    {
        return Ok(key.trim().to_owned());
    }
    if known.is_none() {
        make(app).map_err(text)?;
    }
    let options = KeyOptions {
        name: "demo".into(),
        kind: KeyKind::Secret,
        scopes: vec!["*".into()],
        livemode: true,
    };
    let key = keys::make_key(app, SLUG, &options).map_err(text)?;
    keep(&file, &key)?;
    Ok(key)
}

fn keep(file: &Path, key: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let failed = |error: std::io::Error| format!("{}: {error}", file.display());
    fs::create_dir_all(file.parent().unwrap_or(Path::new("."))).map_err(failed)?;
    fs::write(file, key).map_err(failed)?;
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).map_err(failed)
}

fn make(app: &App) -> Result<(), Error> {
    let body = json!({
        "name": "Alpenglow demo", "slug": SLUG,
        "default_currency": "EUR", "timezone": "Europe/Berlin",
    });
    let session =
        keys::make_workspace(app, &body)?.session(true, Actor::SYSTEM, "demo data".into());
    let yesterday = Utc::now().date_naive().pred_opt().unwrap_or_default();
    let day = demo::shops_day(SEED, yesterday);
    app.db.write(&session, &|tx| fill(tx, &day).map(Outcome::Commit))
}

/// Loads a day through the same functions that requests use.
fn fill(tx: &mut Tx, day: &Day) -> Result<(), Error> {
    for new in parse::<attributes::NewAttributeDefinition>(&day.attribute_definitions)? {
        new.insert(tx)?;
    }
    for new in parse::<organizations::NewOrganization>(&day.organizations)? {
        organizations::create(tx, &new)?;
    }
    for new in parse::<channels::NewChannel>(&day.channels)? {
        channels::create(tx, &new)?;
    }
    for made in customers::create_many(tx, &parse::<customers::NewCustomer>(&day.customers)?)? {
        made?;
    }
    for made in products::create_each(tx, &parse::<products::NewProduct>(&day.products)?)? {
        made?;
    }
    for made in orders::create_each(tx, &parse::<orders::NewOrder>(&day.orders)?)? {
        made?;
    }
    let touchpoints = parse::<touchpoints::NewTouchpoint>(&day.touchpoints)?;
    for chunk in touchpoints.chunks(1000) {
        for stored in touchpoints::ingest(tx, chunk, OnUnknownCustomer::Reject)? {
            stored?;
        }
    }
    Ok(())
}

fn parse<T: DeserializeOwned>(items: &[Value]) -> Result<Vec<T>, Error> {
    let items = items.iter().cloned().map(serde_json::from_value);
    let parsed: serde_json::Result<Vec<T>> = items.collect();
    parsed.map_err(|error| Error::internal(format!("demo data: {error}")))
}
