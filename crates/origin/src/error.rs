//! The one place where errors become answers.
//!
//! What a client may know is the [`Problem`]; what an operator needs is the source, which goes to the log and never
//! into a body.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use keyward_api::{Code, FieldError, MEDIA_TYPE, Problem, challenge};
use keyward_core::{Reason, Refusal};

/// A request that is not answered as asked.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    code: Code,
    problem: Problem,
    source: Option<anyhow::Error>,
    /// Seconds after which another try makes sense.
    retry_after: Option<u64>,
}

/// What fallible parts of the origin return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of a kind.
    pub fn new(code: impl Into<Code>) -> Self {
        let code = code.into();
        Self(Box::new(Inner { code, problem: Problem::new(code), source: None, retry_after: None }))
    }

    /// A fault of ours, with what the log should say.
    pub fn internal(source: impl Into<anyhow::Error>) -> Self {
        Self::new(Code::Internal).because(source)
    }

    /// A request with fields that are wrong.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        Self::new(Code::ValidationFailed).fields(errors)
    }

    /// A request with one field that is wrong.
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::invalid(vec![FieldError { field: field.into(), message: message.into() }])
    }

    /// Words for the client.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.problem.detail = Some(detail.into());
        self
    }

    /// The fields at fault, for the client.
    #[must_use]
    pub fn fields(mut self, errors: Vec<FieldError>) -> Self {
        self.0.problem.errors = errors;
        self
    }

    /// With the fields at fault as those of a part of the request.
    #[must_use]
    pub fn within(mut self, place: &str) -> Self {
        for error in &mut self.0.problem.errors {
            error.field = if error.field.is_empty() { place.to_owned() } else { format!("{place}.{}", error.field) };
        }
        self
    }

    /// The fields at fault.
    pub fn into_fields(self) -> Vec<FieldError> {
        self.0.problem.errors
    }

    /// The cause, for the log.
    #[must_use]
    pub fn because(mut self, source: impl Into<anyhow::Error>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Seconds after which another try makes sense.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after = Some(seconds);
        self
    }

    /// What kind it is.
    pub fn code(&self) -> Code {
        self.0.code
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.code.as_str())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| source.as_ref() as _)
    }
}

impl From<Code> for Error {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}

impl From<Reason> for Error {
    fn from(reason: Reason) -> Self {
        Self::new(reason)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.reason())
    }
}

impl From<anyhow::Error> for Error {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<sqlx::Error>() {
            Ok(error) => error.into(),
            Err(error) => match error.downcast::<Self>() {
                Ok(error) => error,
                Err(error) => Self::internal(error),
            },
        }
    }
}

impl Error {
    /// What kind a database's error is.
    pub fn from_database(error: &sqlx::Error) -> Code {
        let unavailable = match error {
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed | sqlx::Error::Tls(_) => {
                true
            }
            // 08: connection exception; 57P: the server is ending, starting or restoring; 53300: too many connections
            // (PostgreSQL, appendix A).
            sqlx::Error::Database(error) => {
                error.code().is_some_and(|code| code.starts_with("08") || code.starts_with("57P") || code == "53300")
            }
            // A server that is killed in the middle of an answer.
            sqlx::Error::Protocol(_) => true,
            _ => false,
        };
        if unavailable { Code::DatabaseUnavailable } else { Code::Internal }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::new(Self::from_database(&error)).because(error)
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let Inner { code, problem, source, retry_after } = *self.0;
        match (&source, code) {
            (Some(source), Code::Internal) => tracing::error!(code = code.as_str(), error = format!("{source:#}"), "request failed"),
            (Some(source), _) => tracing::warn!(code = code.as_str(), error = format!("{source:#}"), "request failed"),
            (None, _) => {}
        }
        let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(problem)).into_response();
        // For who watches over requests (`http::observe`).
        response.extensions_mut().insert(code);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let due = match code {
            Code::Refused(reason) => challenge(reason),
            // A session comes from a key.
            Code::SessionInvalid => challenge(Reason::CredentialMissing),
            _ => None,
        };
        if let Some(challenge) = due {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(retry_after.unwrap_or(1)));
        }
        response
    }
}
