//! The demo's stage: a temporary folder with a database, the sandbox, herald's own server, and the definitions of
//! `examples/acme`, pointed at the sandbox.

use std::path::PathBuf;

use anyhow::Context as _;
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::{
    super::{Context, Failure},
    receiver::Receiver,
};
use crate::{
    app::{App, Roles, Running},
    clock::Clock,
    config::DatabaseUrl,
    definitions::{self, Applied, DefinitionSet},
    domain::{definition::Trigger, id::OrgId, time::Timestamp},
    http::keys::{Scope, mint},
    sandbox::{Sandbox, Settings, TwilioAccount},
    secret::{Secret, Secrets},
};

/// The signing secret of the demo's hook: of 32 random bytes, but known, because it opens nothing but the demo.
pub const HOOK_SECRET: &str = "whsec_ZGVtby1kZW1vLWRlbW8tZGVtby1kZW1vLWRlbW8tZGU=";
/// How long after the start the cron expression of the demo fires, at the latest.
const CRON_AHEAD_S: i64 = 2;

/// What the demo plays on.
pub struct Stage {
    pub app: App,
    pub org: OrgId,
    pub running: Running,
    pub sandbox: Sandbox,
    pub base_url: String,
    pub folder: TempDir,
    pub set: DefinitionSet,
    pub applied: Option<Applied>,
    /// The organization's own end of the outgoing webhooks.
    pub receiver: Receiver,
    /// An API key, as the organization's programs have one.
    pub key: Secret,
}

impl Stage {
    /// Starts everything; nothing is defined yet.
    pub async fn set(context: &Context) -> Result<Self, Failure> {
        let folder =
            tempfile::Builder::new().prefix("herald-demo-").tempdir().context("cannot make a temporary folder")?;
        let mut account = TwilioAccount::new(Settings::DEFAULT_ACCOUNT_SID, Settings::DEFAULT_AUTH_TOKEN);
        account.numbers = vec!["+14252306549".to_owned(), "whatsapp:+14252306550".to_owned()];
        let settings = Settings { accounts: vec![account], ..Settings::default() };
        let sandbox = Sandbox::start(TcpListener::bind("127.0.0.1:0").await?, settings).await?;

        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let base_url = format!("http://{}", listener.local_addr()?);
        let mut config = context.config.clone();
        config.database_url = DatabaseUrl::from(format!("sqlite:{}", folder.path().join("herald.db").display()));
        config.public_url = Some(base_url.clone());
        // The demo's own endpoint is on loopback, where nothing is posted otherwise.
        config.webhooks.allow_private = true;
        let receiver = Receiver::start(HOOK_SECRET).await?;
        let secrets = Secrets::from_environment()
            .with_override("ACME_TWILIO_TOKEN", Settings::DEFAULT_AUTH_TOKEN)
            .with_override("ACME_TELESIGN_KEY", Settings::DEFAULT_API_KEY)
            .with_override("ACME_ACS_KEY", Settings::DEFAULT_ACS_ACCESS_KEY)
            .with_override("ACME_HOOK_SECRET", HOOK_SECRET)
            .with_override("ACME_ENDPOINT_SECRET", HOOK_SECRET);
        let app = App::open(config, secrets, Clock::system()).await?;
        let roles = Roles { api: true, scheduler: true, worker: true, only: None };
        let running = Running::start(&app, &roles, Some(listener))?;
        let mut set = DefinitionSet::from_source(&definitions::acme())?;
        for account in set.accounts.values_mut() {
            account.redirect(sandbox.base_url());
        }
        for endpoint in set.endpoints.values_mut() {
            endpoint.url.clone_from(&receiver.url);
            endpoint.active = true;
            endpoint.events.push("consent.changed".to_owned());
        }
        let org = set.organization.id.clone();
        let key = Secret::new("");
        Ok(Self { org, app, running, sandbox, base_url, folder, set, applied: None, receiver, key })
    }

    /// Applies the definitions as they stand.
    pub async fn apply(&mut self) -> Result<&Applied, Failure> {
        let applied = definitions::apply(&self.app.store, &self.set, self.app.clock.now(), rand::random).await?;
        Ok(self.applied.insert(applied))
    }

    /// Makes the API key hold. The organization has to be there first.
    pub async fn let_programs_in(&mut self) -> Result<(), Failure> {
        let (stored, key) = mint(&self.org, "demo", Scope::Admin, self.app.clock.now())?;
        self.app.store.add_key(&self.org, &stored).await?;
        self.key = key;
        Ok(())
    }

    /// The address that an account's provider calls back.
    pub fn callback(&self, account: &str) -> String {
        let token = self.applied.as_ref().and_then(|applied| applied.callback_tokens.get(account));
        format!("{}/callbacks/{}", self.base_url, token.map_or("", String::as_str))
    }

    /// Gives the scheduled configuration a cron expression that fires once, a moment from now; the expression.
    pub fn cron_soon(&mut self, name: &str) -> Option<String> {
        use chrono::{Datelike as _, Timelike as _};
        let zone = self.set.organization.timezone;
        let configuration = self.set.configurations.get_mut(name)?;
        let Trigger::Scheduled { cron, timezone, .. } = &mut configuration.trigger else { return None };
        let at = Timestamp::from_millis(self.app.clock.now().millis() + CRON_AHEAD_S * 1000)
            .to_utc()
            .with_timezone(&timezone.unwrap_or(zone));
        let text = format!("{} {} {} {} {} * {}", at.second(), at.minute(), at.hour(), at.day(), at.month(), at.year());
        *cron = Some(text.clone());
        Some(text)
    }

    /// A file of the demo, in its folder.
    pub async fn file(&self, name: &str, content: &[u8]) -> Result<PathBuf, Failure> {
        let path = self.folder.path().join(name);
        tokio::fs::write(&path, content).await?;
        Ok(path)
    }

    /// Stops everything and removes the folder.
    pub async fn strike(self) -> Result<(), Failure> {
        self.running.stop().await?;
        self.sandbox.stop().await?;
        self.app.store.close().await;
        self.folder.close()?;
        Ok(())
    }
}
