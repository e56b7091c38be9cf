//! The calls of the REST API that tests make most.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::Origin;
use crate::http::{Request, Response};

const API: &str = "/api/v1/api-keys";

/// A key as the origin handed it out.
#[derive(Clone, Debug)]
pub struct Created {
    /// The key's id in the REST API.
    pub id: String,
    /// The key itself.
    pub raw_key: String,
    /// The whole answer.
    pub body: Value,
}

impl Origin {
    /// Calls the REST API as the admin; `path` comes after `/api/v1/api-keys`.
    ///
    /// # Errors
    /// As [`send`].
    pub async fn api(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Response> {
        let request = Request::new(method, format!("{API}{path}")).bearer(&self.admin_key()?);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        self.send(&request).await
    }

    /// Creates a key. The body is as in the REST API; a `name` is added when it has none, and limits that it doesn't name are
    /// lifted: what isn't about limits must not reach one.
    ///
    /// # Errors
    /// When the origin refuses.
    pub async fn create(&self, mut body: Value) -> Result<Created> {
        if body.get("name").is_none() {
            body["name"] = json!("a test's key");
        }
        for limit in ["rate_limit_per_hour", "daily_quota", "monthly_quota", "max_concurrent_requests"] {
            if body.get(limit).is_none() {
                body[limit] = json!("unlimited");
            }
        }
        let answer = self.api("POST", "", Some(&body)).await?;
        let ok = answer.status == 200 || answer.status == 201;
        ensure!(ok, "create: {}: {}", answer.status, answer.text());
        created(answer.json()?, "raw_key")
    }

    /// Rotates a key; `created` of the result is the new credential under the old id.
    ///
    /// # Errors
    /// When the origin refuses.
    pub async fn rotate(&self, id: &str, body: Option<&Value>) -> Result<Created> {
        created(self.api("POST", &format!("/{id}/rotate"), body).await?.expect(200)?.json()?, "new_raw_key")
    }

    /// Revokes a key.
    ///
    /// # Errors
    /// When the origin refuses.
    pub async fn revoke(&self, id: &str) -> Result<()> {
        self.api("DELETE", &format!("/{id}/revoke"), None).await?.expect(200).map(drop)
    }

    /// Exchanges a key for a capability token, with these parameters beside.
    ///
    /// # Errors
    /// When the origin refuses.
    pub async fn exchange(&self, raw_key: &str, parameters: &[(&str, &str)]) -> Result<String> {
        let fixed = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token_type", "urn:keyward:token-type:api-key"),
            ("subject_token", raw_key),
        ];
        let answer = self.send(&Request::new("POST", "/oauth/token").form(&[&fixed, parameters].concat())).await?.expect(200)?.json()?;
        Ok(answer["access_token"].as_str().context("no access_token in the answer")?.to_owned())
    }

    /// Suspends a key.
    ///
    /// # Errors
    /// When the origin refuses.
    pub async fn suspend(&self, id: &str) -> Result<()> {
        self.api("POST", &format!("/{id}/suspend"), None).await?.expect(200).map(drop)
    }

    /// Resumes a suspended key.
    ///
    /// # Errors
    /// When the origin refuses.
    pub async fn resume(&self, id: &str) -> Result<()> {
        self.api("POST", &format!("/{id}/resume"), None).await?.expect(200).map(drop)
    }

    /// Changes a key's constraints.
    ///
    /// # Errors
    /// When the origin refuses.
    pub async fn amend(&self, id: &str, change: &Value) -> Result<Value> {
        self.api("PATCH", &format!("/{id}"), Some(change)).await?.expect(200)?.json()
    }
}

fn created(body: Value, raw: &str) -> Result<Created> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let id = text(&body["api_key"]["id"]).with_context(|| format!("no id in {body}"))?;
    let raw_key = text(&body[raw]).with_context(|| format!("no {raw} in the answer"))?;
    Ok(Created { id, raw_key, body })
}
