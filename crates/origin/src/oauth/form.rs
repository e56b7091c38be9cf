//! The body of a request to `/oauth`: a form.

use std::sync::Arc;

use axum::{
    extract::{FromRequest, Request},
    http::header,
};

use super::{OauthError, Result};
use crate::{http::read_body, state::App};

/// Parameters in one request, whatever their names.
const MOST: usize = 1024;

/// A form, bounded. Its values may be secrets: they are in no error.
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Passes where there are no parameters but these. RFC 6749 would have unknown ones ignored; but most of ours narrow
    /// what is granted, and a misspelt restriction must not be a missing one.
    ///
    /// # Errors
    /// `invalid_request`, with the first name that isn't known.
    pub fn only(&self, known: &[&str]) -> Result<()> {
        match self.0.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some((name, _)) => Err(OauthError::request(format!("unknown parameter: {}", name.chars().take(64).collect::<String>()))),
        }
    }

    /// The value of a parameter that may stand once. An empty value is none (RFC 6749 section 3.2).
    ///
    /// # Errors
    /// `invalid_request` where it is there twice.
    pub fn one(&self, name: &str) -> Result<Option<&str>> {
        let mut values = self.0.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str());
        let first = values.next().filter(|value| !value.is_empty());
        if values.next().is_some() { Err(OauthError::request(format!("{name} is there twice"))) } else { Ok(first) }
    }

    /// The same of a parameter that has to be there.
    ///
    /// # Errors
    /// `invalid_request` where it isn't, or is twice.
    pub fn required(&self, name: &str) -> Result<&str> {
        self.one(name)?.ok_or_else(|| OauthError::request(format!("{name} is missing")))
    }

    /// All values of a parameter that may stand more than once.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(other, value)| other == name && !value.is_empty()).map(|(_, value)| value.as_str()).collect()
    }
}

impl FromRequest<Arc<App>> for Form {
    type Rejection = OauthError;

    async fn from_request(request: Request, _: &Arc<App>) -> Result<Self> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")) {
            return Err(OauthError::request("the body has to be application/x-www-form-urlencoded"));
        }
        let bytes = read_body(request).await?;
        let parameters: Vec<_> = form_urlencoded::parse(&bytes).take(MOST + 1).map(|(name, value)| (name.into(), value.into())).collect();
        if parameters.len() > MOST { Err(OauthError::request("too many parameters")) } else { Ok(Self(parameters)) }
    }
}
