//! Where resources register their handlers: to serve them, or to describe them.

use actix_web::dev::HttpServiceFactory;
use actix_web::web;
use utoipa_actix_web::OpenApiFactory;
use utoipa_actix_web::service_config::ServiceConfig as Describing;

/// Takes what a resource registers. Only the one who makes the document collects descriptions: they
/// are some 20 MiB, which every thread that serves would otherwise hold.
pub enum ServiceConfig<'a, 's> {
    Serving(&'a mut web::ServiceConfig),
    Describing(&'a mut Describing<'s>),
}

impl ServiceConfig<'_, '_> {
    /// Registers a handler.
    pub fn service<F>(&mut self, factory: F) -> &mut Self
    where
        F: HttpServiceFactory + OpenApiFactory + 'static,
    {
        match self {
            Self::Serving(config) => drop(config.service(factory)),
            Self::Describing(config) => drop(config.service(factory)),
        }
        self
    }

    /// Lets a resource register its handlers.
    pub fn configure(&mut self, register: impl FnOnce(&mut Self)) -> &mut Self {
        register(self);
        self
    }
}

/// Registers in order to serve.
pub fn serve(register: fn(&mut ServiceConfig)) -> impl FnOnce(&mut web::ServiceConfig) {
    move |config| register(&mut ServiceConfig::Serving(config))
}

/// Registers in order to describe.
pub fn describe(register: fn(&mut ServiceConfig)) -> impl FnOnce(&mut Describing) {
    move |config| register(&mut ServiceConfig::Describing(config))
}
