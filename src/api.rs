//! The whole API: every resource mounted, and the one document that describes it.

use std::sync::LazyLock;

use actix_web::dev::{ServiceFactory, ServiceRequest};
use actix_web::middleware::from_fn;
use actix_web::web;
use serde_json::{Value, json};
use utoipa::OpenApi;
use utoipa_actix_web::AppExt;
use utoipa_actix_web::scope::scope;
use utoipa_swagger_ui::{Config, SwaggerUi, Url};

use crate::auth;
use crate::http::ServiceConfig;
use crate::http::boundary;
use crate::http::service_config::{describe, serve};
use crate::openapi::{Routes, events};

/// The head of the document.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "ecrm",
        description = "A headless eCRM: customers, channels and touchpoints, and what hangs on them.\n\n\
            Every call carries a key or token: `ecrm key create --workspace demo` prints one, and so \
            does the first start. Try\n\n    \
            curl -H \"Authorization: Bearer $ECRM_KEY\" \"$ECRM_URL/v1/customers?q=ada&limit=1\"\n\n\
            or press *Authorize* and try any operation below. What happens, as touchpoints, the change feed and \
            webhooks tell it, has a catalogue of its own: [every type of event](/events.json) with a JSON \
            Schema and an example.",
        license(name = "Apache-2.0 OR MIT", identifier = "Apache-2.0 OR MIT")
    ),
    tags(
        (name = "customers", description = "The people the company has a relationship with."),
        (name = "organizations", description = "Companies and clubs, and who belongs to them."),
        (name = "channels", description = "Where the company and its customers meet."),
        (name = "touchpoints", description = "Everything that happened between them."),
        (name = "tracking", description = "Segment's tracking API: its libraries, and those of RudderStack, report here. A write key may also be the user name of Basic credentials, or `writeKey` in the body, and come from web pages of any origin; any content type will do."),
        (name = "products", description = "What the company sells."),
        (name = "orders", description = "What customers bought, paid, got and sent back."),
        (name = "carts", description = "What somebody thinks of buying."),
        (name = "connectors", description = "The way in for shops: their own webhooks, kept and replayable."),
        (name = "consents", description = "What customers agreed to, and whether they can be reached."),
        (name = "suppressions", description = "Addresses that are not to be used, kept by hash."),
        (name = "data_requests", description = "What people ask about their own data, and the answers."),
        (name = "me", description = "What customers do with their own data, with a token of their own."),
        (name = "analytics", description = "What it all adds up to: figures, and charts as images."),
        (name = "changes", description = "Everything that happens, for other systems to follow."),
        (name = "webhooks", description = "The way out: events sent to the company's other systems, signed (Standard Webhooks)."),
        (name = "jobs", description = "Much at once: imports from files and exports into files."),
        (name = "attribute_definitions", description = "The company's own fields."),
        (name = "tags", description = "Labels that the company has agreed on."),
        (name = "workspaces", description = "One company's data and settings."),
        (name = "users", description = "Who works here."),
        (name = "audit", description = "Who administered what, in a log that tells when it was changed."),
        (name = "api_keys", description = "Credentials of programs."),
        (name = "trusted_issuers", description = "Login services whose tokens are accepted."),
        (name = "auth", description = "Getting and checking tokens."),
        (name = "platform", description = "The service itself.")
    )
)]
struct Head;

/// What stands outside `/v1`, and needs no credential of a workspace.
fn public(api: &mut ServiceConfig) {
    api.configure(crate::platform::routes)
        .configure(crate::consents::public_routes)
        .configure(crate::privacy::public_routes)
        .configure(crate::connectors::public_routes)
        .configure(crate::bulk::public_routes);
}

/// Every resource below `/v1`.
fn resources(api: &mut ServiceConfig) {
    api.configure(crate::customers::routes)
        .configure(crate::profiles::routes)
        .configure(crate::organizations::routes)
        .configure(crate::channels::routes)
        .configure(crate::touchpoints::routes)
        .configure(crate::tracking::routes)
        .configure(crate::products::routes)
        .configure(crate::orders::routes)
        .configure(crate::carts::routes)
        .configure(crate::connectors::routes)
        .configure(crate::consents::routes)
        .configure(crate::suppressions::routes)
        .configure(crate::privacy::routes)
        .configure(crate::me::routes)
        .configure(crate::analytics::routes)
        .configure(crate::changes::routes)
        .configure(crate::bulk::routes)
        .configure(crate::webhooks::routes)
        .configure(crate::attributes::routes)
        .configure(crate::tags::routes)
        .configure(crate::workspaces::routes)
        .configure(crate::users::routes)
        .configure(crate::api_keys::routes)
        .configure(crate::trusted_issuers::routes)
        .configure(crate::sessions::routes)
        .configure(crate::audit::routes);
}

/// Mounts the API, the docs page and the answers to everything else.
pub fn mount<T>(app: actix_web::App<T>) -> actix_web::App<T>
where
    T: ServiceFactory<ServiceRequest, Config = (), Error = actix_web::Error, InitError = ()>,
{
    let spec = spec();
    let docs = SwaggerUi::new("/docs/{_:.*}")
        .config(Config::new([Url::new("ecrm", "/openapi.json")]).persist_authorization(true));
    // The last layer is the outermost: no credential, no word about anything else.
    let v1 = web::scope("/v1")
        .wrap(from_fn(boundary::known_parameters))
        .wrap(from_fn(auth::identify))
        .configure(serve(resources));
    app.configure(serve(public))
        .service(v1)
        .service(docs)
        .configure(crate::platform::plain_routes)
        .app_data(web::Data::new(spec))
        .default_service(web::to(boundary::unmatched))
}

/// Mounts what a process without the API shows: its health and its metrics.
pub fn mount_platform<T>(app: actix_web::App<T>) -> actix_web::App<T>
where
    T: ServiceFactory<ServiceRequest, Config = (), Error = actix_web::Error, InitError = ()>,
{
    app.configure(serve(crate::platform::routes))
        .app_data(web::Data::new(spec()))
        .default_service(web::to(boundary::unmatched))
}

/// The document, as text and as a table of what exists. The tree that they are made from
/// takes some 20 MiB, which nobody needs while serving.
pub struct Spec {
    /// Pretty-printed, as committed in `openapi/openapi.json`.
    pub text: String,
    pub routes: Routes,
}

static SPEC: LazyLock<Spec> = LazyLock::new(Spec::build);

/// The document of this binary.
pub fn spec() -> &'static Spec {
    &SPEC
}

/// The document of this binary as a tree, for who looks at it closely.
pub fn document() -> Value {
    serde_json::from_str(&spec().text).expect("BUG: the document is JSON")
}

/// The catalogue of events, pretty-printed, as committed in `openapi/events.json`.
pub fn events() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        format!("{:#}\n", events::catalogue(&document(), crate::touchpoints::is_own))
    });
    &TEXT
}

impl Spec {
    fn build() -> Self {
        let (_, api) = actix_web::App::new()
            .into_utoipa_app()
            .openapi(Head::openapi())
            .configure(describe(public))
            .service(scope("/v1").configure(describe(resources)))
            .split_for_parts();
        let mut raw = serde_json::to_value(api).expect("BUG: the document is JSON");
        raw["info"]["version"] = json!(env!("CARGO_PKG_VERSION"));
        let tree = crate::openapi::finish(raw);
        let text = format!("{tree:#}\n");
        let routes = Routes::of(&tree);
        Self { text, routes }
    }
}
