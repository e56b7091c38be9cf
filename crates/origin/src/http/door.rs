//! Where requests come in. The one that is asked more often than all others together goes straight to its handler, through the same
//! steps as by the router and its layers, of which each costs every request some allocations (decision 0108).

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    extract::ConnectInfo,
    http::{Method, Request},
    response::{IntoResponse, Response},
};
use tower::ServiceExt;

use super::{
    VALIDATE, guarded,
    keys::answer_validate,
    observe::{Observed, span},
    router,
};
use crate::{
    auth::{Asked, Visit},
    error::{Error, Result},
    ids::new_id,
    state::App,
};

/// All that a server answers to.
pub struct Door {
    app: Arc<App>,
    router: Router,
}

impl Door {
    /// That of a server.
    pub fn new(app: Arc<App>) -> Self {
        Self { router: router(Arc::clone(&app)), app }
    }

    /// Answers a request.
    pub async fn answer<B>(&self, peer: SocketAddr, request: Request<B>) -> Response
    where
        B: HttpBody<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static,
    {
        if request.method() == Method::POST && request.uri().path() == VALIDATE {
            return self.validate(peer, request).await.unwrap_or_else(Error::into_response);
        }
        self.route(peer, request).await
    }

    /// As any request is answered.
    pub async fn route<B>(&self, peer: SocketAddr, request: Request<B>) -> Response
    where
        B: HttpBody<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static,
    {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        match self.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    async fn validate<B>(&self, peer: SocketAddr, request: Request<B>) -> Result<Response>
    where
        B: HttpBody<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static,
    {
        let app = &*self.app;
        let visit = Visit::new(new_id(app.clock.now())?.0);
        let (parts, body) = request.into_parts();
        let asked = Asked::told(&parts, peer, &visit);
        let observed = Observed::begin(app, &visit, &asked, VALIDATE.into());
        let answer = guarded(app, answer_validate(app, &asked, body)).await;
        let span = || span(&visit, &parts.headers);
        // What it has to say for the log is said under the request's name.
        let mut response = answer.unwrap_or_else(|error| span().in_scope(|| error.into_response()));
        observed.end(&mut response, span);
        Ok(response)
    }
}
