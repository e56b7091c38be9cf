//! Errors in the words of RFC 6749 section 5.2. Status, headers and the log are those of any other error of the origin.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use keyward_api::oauth::OauthProblem;

use crate::error::Error;

/// What the handlers of `/oauth` return.
pub type Result<T, E = OauthError> = std::result::Result<T, E>;

/// A request that is not answered as asked.
#[derive(Debug)]
pub enum OauthError {
    /// For a reason that the standards have a name for (400).
    Refused {
        /// The name.
        error: &'static str,
        /// For the developer of the client: no secret, nothing internal.
        description: String,
    },
    /// For any other.
    Other(Error),
}

impl OauthError {
    /// Something is missing, said twice, unknown or ill-formed; or the subject token doesn't hold (RFC 8693 section
    /// 2.2.2).
    pub fn request(description: impl Into<String>) -> Self {
        Self::Refused { error: "invalid_request", description: description.into() }
    }

    /// The scope can't be read, or goes beyond what the key has.
    pub fn scope(description: impl Into<String>) -> Self {
        Self::Refused { error: "invalid_scope", description: description.into() }
    }

    /// No token is issued for that target (RFC 8693 section 2.2.2).
    pub fn target(description: impl Into<String>) -> Self {
        Self::Refused { error: "invalid_target", description: description.into() }
    }

    /// Who asks may not.
    pub fn client(description: impl Into<String>) -> Self {
        Self::Refused { error: "unauthorized_client", description: description.into() }
    }

    /// A grant other than the one there is.
    pub fn grant() -> Self {
        Self::Refused { error: "unsupported_grant_type", description: String::new() }
    }
}

impl<E: Into<Error>> From<E> for OauthError {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

impl IntoResponse for OauthError {
    fn into_response(self) -> Response {
        let (mut response, error, description) = match self {
            Self::Refused { error, description } => (StatusCode::BAD_REQUEST.into_response(), error, description),
            Self::Other(error) => {
                let description = error.code().as_str().to_owned();
                let response = error.into_response();
                let name = match response.status().as_u16() {
                    401 => "invalid_client",
                    // RFC 6750 section 3.1.
                    403 => "insufficient_scope",
                    503 => "temporarily_unavailable",
                    500.. => "server_error",
                    _ => "invalid_request",
                };
                (response, name, description)
            }
        };
        let problem = OauthProblem { error: error.to_owned(), error_description: description };
        *response.body_mut() = Json(problem).into_response().into_body();
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}
