//! herald as a library, from a CSV file to a report, with nothing installed and nobody messaged: `cargo run --example quickstart`.
//!
//! The provider is the sandbox, which speaks Twilio's wire format on loopback; no other network is used. For a real account,
//! leave out `base_url` and put the account's own sid and token.

use std::{fs, path::Path, time::Duration};

use herald::{
    app::{App, Roles, Running},
    clock::Clock,
    config::Config,
    definitions::{self, DefinitionSet},
    intake::upload::{self, OnInvalid, OnSameFile, Upload},
    sandbox::{Sandbox, Settings},
    secret::Secrets,
    store::messages::MessageSearch,
};
use tokio::net::TcpListener;

/// Who gets it: a header, then one person a row. Bo has not agreed; Dewi's number is one that the sandbox refuses.
const PEOPLE: &str = "phone,optin,locale,CustomerName,OrderNumber,DeliveryDate
+4915112345678,yes,de-DE,Ana,A-1,Montag
+33639980745,no,fr-FR,Bo,A-2,mardi
+14165550123,yes,en-CA,Cleo,A-3,Monday
+4915120091211,yes,de-DE,Dewi,A-4,Dienstag
+33639980746,yes,fr-FR,Eli,A-5,lundi
";

#[tokio::main]
#[expect(clippy::print_stdout, reason = "an example shows what it does")]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let sandbox = Sandbox::start(TcpListener::bind("127.0.0.1:0").await?, Settings::default()).await?;

    // 1. What an organization defines: an account, a sender, and what to send. The template is one of the starter library's.
    let shop = folder.path().join("shop");
    let account = format!(
        "provider = \"twilio\"\naccount_sid = \"{}\"\nauth_token = {{ env = \"QUICKSTART_TOKEN\" }}\nbase_url = \"{}\"\n",
        Settings::DEFAULT_ACCOUNT_SID,
        sandbox.base_url()
    );
    let channel = "type = \"sms\"\naccount = \"main\"\nnumber = \"14252306549\"\npace = \"100/s\"\n";
    let delay = "channel = \"shop\"\ntemplate = \"shipping-delay\"\n[trigger]\nkind = \"instant\"\n";
    write(&shop, "organization.toml", "id = \"shop\"\nname = \"The Shop\"\n")?;
    write(&shop, "accounts/main.toml", &account)?;
    write(&shop, "channels/shop.toml", channel)?;
    write(&shop, "outbound/delay.toml", delay)?;
    write(folder.path(), "people.csv", PEOPLE)?;

    // 2. The store, an embedded database here, with the definitions in it. Secrets are looked up by name, never stored.
    let database_url = format!("sqlite:{}", folder.path().join("herald.db").display()).into();
    let config = Config { database_url, ..Config::default() };
    let secrets = Secrets::from_environment().with_override("QUICKSTART_TOKEN", Settings::DEFAULT_AUTH_TOKEN);
    let app = App::open(config, secrets, Clock::system()).await?;
    definitions::apply(&app.store, &DefinitionSet::read(&shop)?, app.clock.now(), rand::random).await?;

    // 3. The file becomes a run: checked as a whole, then taken in. From here on it survives a crash.
    let book = app.organization(None).await?;
    let configuration = book.configuration("delay")?.clone();
    let org = book.organization.id.clone();
    let (path, on_invalid, on_same_file) = (folder.path().join("people.csv"), OnInvalid::Refuse, OnSameFile::Refuse);
    let upload = Upload { book, configuration, path, on_invalid, on_same_file, attested: None };
    let run = upload::start(&app.store, &app.clock, &upload, |_bytes| ()).await?;

    // 4. A worker sends it. Any number of them may share a Postgres database.
    let roles = Roles { api: false, scheduler: false, worker: true, only: None };
    let running = Running::start(&app, &roles, None)?;
    while !app.store.run(&org, run).await?.is_some_and(|run| run.status.is_over()) {
        app.clock.sleep(Duration::from_millis(20)).await;
    }
    running.stop().await?;

    // 5. The report: every row in exactly one bucket.
    for (bucket, count) in app.store.sums(&org, run).await?.buckets() {
        println!("{bucket:11} {count}");
    }
    let all = MessageSearch { run: Some(run), ..MessageSearch::default() };
    for message in app.store.search_messages(&org, &all, 100).await? {
        let why = message.state.as_ref().and_then(|state| state.why.as_ref()).map(ToString::to_string);
        println!("row {} {} {}", message.row, message.status(), why.unwrap_or_default());
    }
    println!("the provider has accepted {} messages", sandbox.summary().accepted);
    Ok(())
}

fn write(folder: &Path, name: &str, text: &str) -> std::io::Result<()> {
    let path = folder.join(name);
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(path, text)
}
