//! The API's description and the page to try it; and what is odd in a path or a query, which is refused in herald's own words.

use herald::http::keys::Scope;
use reqwest::Method;

use crate::{assert_problem, stage};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_contacts_nobody_else() {
    let stage = stage().await;
    let mut page = String::new();
    for (path, kind) in [
        ("/openapi", "text/html; charset=utf-8"),
        ("/openapi/page.css", "text/css; charset=utf-8"),
        ("/openapi/page.js", "text/javascript; charset=utf-8"),
    ] {
        let answer = stage.client.get(format!("{}{path}", stage.base_url)).send().await.unwrap();
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert_eq!((answer.status().as_u16(), header("content-type").as_str()), (200, kind), "{path}");
        let policy = header("content-security-policy");
        for rule in ["default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"] {
            assert!(policy.contains(rule) && !policy.contains("unsafe"), "{path}: {policy}");
        }
        assert_eq!(header("x-content-type-options"), "nosniff");
        page.push_str(&answer.text().await.unwrap());
    }
    for elsewhere in ["http://", "https://", "//cdn", "innerHTML", "localStorage", "style=", "onclick="] {
        assert!(!page.contains(elsewhere), "the page holds {elsewhere}");
    }
    for needed in ["<html lang=\"en\">", "viewport", "aria-live", "prefers-reduced-motion", "light-dark("] {
        assert!(page.contains(needed), "the page lacks {needed}");
    }
    let described = stage.ask(Method::GET, "/openapi.json", None).await;
    assert_eq!((described.status, described.kind.as_str()), (200, "application/json"));
    assert!(described.body["paths"]["/v1/runs"]["get"].is_object());
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_text_names_nothing() {
    let stage = stage().await;
    let (key, _) = stage.key(&stage.org).await;
    let bearer = format!("Bearer {key}");
    for (path, status, code) in [
        ("/v1/runs/%FF", 404, "not_found"),
        ("/v1/runs/%00", 404, "not_found"),
        ("/v1/endpoints/a%00b/deliveries", 404, "not_found"),
        ("/v1/conversations/%C3%28", 404, "not_found"),
        ("/v1/consents/%FF", 400, "invalid_number"),
        ("/v1/consents/%2B49%00", 400, "invalid_number"),
        ("/v1/contacts/%00/timeline", 400, "invalid_number"),
        ("/v1/timeline?regarding=%00", 400, "invalid_query"),
        ("/v1/conversations?channel=a%00b", 400, "invalid_query"),
        ("/v1/runs?after=1&after=2", 400, "invalid_query"),
        ("/v1/conversations/cnv_00000000000000000000000000?after=-1", 400, "invalid_cursor"),
        ("/v1/conversations/cnv_00000000000000000000000000?after=99999999999999999999", 400, "invalid_cursor"),
        ("/v1/consents?after=sms.18446744073709551615", 400, "invalid_cursor"),
    ] {
        let answer = stage.ask(Method::GET, path, Some(&bearer)).await;
        assert_problem(&answer, status, code, path);
        // Who asks is asked first.
        assert_problem(&stage.ask(Method::GET, path, None).await, 401, "unauthorized", path);
    }
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_ends_with_a_body_that_was_not_read() {
    let stage = stage().await;
    let key = stage.key_for(&stage.org, Scope::Send).await;
    let url = format!("{}/v1/consents/%2B4915155500001", stage.base_url);
    for (bytes, status, ends) in [(3 << 20, 413, true), (100, 400, false)] {
        let request = stage.client.put(&url).bearer_auth(&key).header("content-type", "application/json");
        let answer = request.body("x".repeat(bytes)).send().await.unwrap();
        let said = answer.headers().get("connection").is_some_and(|value| value == "close");
        assert_eq!((answer.status().as_u16(), said), (status, ends), "{bytes} bytes");
    }
    stage.strike().await;
}
