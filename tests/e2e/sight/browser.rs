//! The page as a browser shows it.

use std::{path::PathBuf, time::Duration};

use dynomesh_proto::v1::operation::Kind;
use e2e::{
    Mesh,
    harness::{Browser, run_within},
};

const LIMIT: Duration = Duration::from_secs(180);
const DESK: (u32, u32) = (1_280, 900);
const PHONE: (u32, u32) = (390, 844);

/// Nothing is cut off or sticks out to the side.
const FITS: &str = "document.documentElement.scrollWidth <= innerWidth";

/// Where pictures are kept, if somebody wants them.
fn pictures() -> Option<PathBuf> {
    std::env::var_os("DYNOMESH_PICTURES").map(PathBuf::from)
}

async fn browser(mesh: &Mesh) -> Browser {
    Browser::start(&mesh.dir().join("browser")).await
}

#[test]
fn what_goes_on_is_shown_and_found() {
    run_within(LIMIT, async {
        // Whoever names things may mean ill.
        let evil = "<img src=x onerror=alert(1)>";
        let mesh = Mesh::builder().web().node(evil).start().await;
        for n in 0..60 {
            mesh.app(&format!("app-{n:02}")).await;
        }
        let shop = mesh.app("shop").await;
        let dynos = shop.dynos(3).await;
        let mut held = mesh
            .request("GET", &shop.host(), "/hold")
            .start()
            .await
            .unwrap();
        shop.until_load(1, 0).await;
        mesh.get("nobody.test", "/").await;
        let mut page = browser(&mesh).await;
        page.show(&format!("http://{}/", mesh.web()), DESK, false)
            .await;

        page.until("document.querySelector('#state').className === 'good'")
            .await;
        page.until("document.querySelector('#apps .name').textContent === 'shop'")
            .await;
        page.until("document.querySelectorAll('#apps .app').length === 50")
            .await;
        page.until("document.querySelectorAll('#apps .app:first-child .l4').length === 1")
            .await;
        page.until("document.querySelector('#failures').textContent.includes('no-app')")
            .await;
        page.until("document.querySelector('#chart-load').naturalWidth > 200")
            .await;
        let node = page
            .value("document.querySelector('#node').textContent")
            .await;
        assert_eq!(node, evil);
        assert_eq!(
            page.value("document.querySelectorAll('#node *').length")
                .await,
            0
        );

        page.value("document.querySelector('#on').click()").await;
        page.until("document.querySelectorAll('#apps .app').length === 11")
            .await;
        page.value(
            "{ const s = document.querySelector('#search'); s.value = 'p-07'; s.dispatchEvent(new Event('input')) }",
        )
        .await;
        page.until("document.querySelector('#found').textContent === '1 app'")
            .await;
        page.until("document.querySelector('#apps .name').textContent === 'app-07'")
            .await;

        assert_eq!(page.complaints(), [""; 0]);
        for dyno in &dynos {
            dyno.release().await;
        }
        assert_eq!(held.response().await.unwrap().status(), 200);
        drop(page);
        mesh.finish().await;
    });
}

#[test]
fn requests_of_an_app_are_watched() {
    run_within(LIMIT, async {
        let mesh = Mesh::builder().web().start().await;
        let shop = mesh.app("shop").await;
        let _dynos = shop.dynos(2).await;
        let mut page = browser(&mesh).await;
        let url = format!("http://{}/#/app/shop", mesh.web());
        page.show(&url, PHONE, true).await;
        page.until("document.querySelector('#loads').textContent.includes('web.2')")
            .await;
        assert_eq!(page.value("document.activeElement.id").await, "name");
        page.value("document.querySelector('#watch').click()").await;
        page.until("document.querySelector('#taps').textContent.includes('shop')")
            .await;
        // A worker may hear of the tap only after a request has passed it.
        let seen = "document.querySelector('#requests').textContent.includes('/a<b>')";
        e2e::harness::wait::within(Duration::from_secs(30), "it is seen", async || {
            assert_eq!(mesh.get(&shop.host(), "/a<b>?secret").await.status(), 200);
            page.value(seen).await == true
        })
        .await;
        let text = page
            .value("document.querySelector('#requests').textContent")
            .await;
        let text = text.as_str().unwrap();
        assert!(text.contains("asked of [web."), "{text}");
        assert!(!text.contains("secret"), "{text}");
        assert_eq!(
            page.value("document.querySelectorAll('#requests b').length")
                .await,
            0
        );
        page.until(FITS).await;
        if let Some(kept) = pictures() {
            page.picture(&kept.join("page-app.png")).await;
        }

        // Only what goes wrong, then nothing.
        page.value("document.querySelector('#failed').click()")
            .await;
        shop.apply(vec![Kind::SetMaintenance(true)]).await;
        e2e::harness::wait::within(Duration::from_secs(30), "it is seen", async || {
            assert_eq!(mesh.get(&shop.host(), "/shut").await.status(), 503);
            page.value("document.querySelector('#requests').textContent.includes('503 H80')")
                .await
                == true
        })
        .await;
        let text = page
            .value("document.querySelector('#requests').textContent")
            .await;
        assert!(!text.as_str().unwrap().contains("/a<b>"), "{text}");
        page.value("document.querySelector('#watch').click()").await;
        page.until("document.querySelector('#taps').textContent.includes('nobody')")
            .await;
        assert_eq!(page.complaints(), [""; 0]);
        drop(page);
        mesh.finish().await;
    });
}

/// Pictures of 1,000 apps that are busy, for people: at a desk in light and dark, and
/// on a phone. They are kept in the directory of `DYNOMESH_PICTURES`.
#[test]
fn a_thousand_apps_fit_a_desk_and_a_phone() {
    run_within(LIMIT, async {
        let kept = pictures();
        let mesh = Mesh::builder().web().workers(2).start().await;
        let crowd = crowd::Crowd::start(&mesh).await;
        let mut page = browser(&mesh).await;
        for (name, size, dark) in [
            ("light", DESK, false),
            ("dark", DESK, true),
            ("phone", PHONE, false),
        ] {
            page.show(&format!("http://{}/", mesh.web()), size, dark)
                .await;
            page.until("document.querySelector('#found').textContent === '1,000 apps'")
                .await;
            page.until("document.querySelectorAll('#apps .l5').length > 2")
                .await;
            page.until("document.querySelector('#chart-load').naturalWidth > 200")
                .await;
            page.until(FITS).await;
            if let Some(kept) = &kept {
                crowd.see().await;
                page.picture(&kept.join(format!("page-{name}.png"))).await;
            }
        }
        assert_eq!(page.complaints(), [""; 0]);
        drop(page);
        crowd.end(&mesh).await;
        mesh.finish().await;
    });
}

#[test]
fn fifty_thousand_apps_are_searched() {
    run_within(LIMIT, async {
        let mesh = Mesh::builder().web().start().await;
        crowd::many(&mesh, 50_000).await;
        let shop = mesh.app("shop").await;
        let dynos = shop.dynos(2).await;
        let mut page = browser(&mesh).await;
        page.show(&format!("http://{}/", mesh.web()), DESK, false)
            .await;
        page.until("document.querySelector('#found').textContent === '50,001 apps'")
            .await;
        page.until("document.querySelectorAll('#apps .app').length === 50")
            .await;
        let search = async |page: &mut Browser, text: &str, found: &str| {
            page.value(&format!(
                "{{ const s = document.querySelector('#search'); s.value = '{text}'; \
                 s.dispatchEvent(new Event('input')) }}"
            ))
            .await;
            let is_found = format!("document.querySelector('#found').textContent === '{found}'");
            page.until(&is_found).await;
        };
        search(&mut page, "idle-3141", "10 apps").await;
        page.until("document.querySelector('#apps .name').textContent === 'idle-31410'")
            .await;
        search(&mut page, "idle-4999", "10 apps").await;
        page.until("document.querySelectorAll('#apps .app').length === 10")
            .await;
        search(&mut page, "nothing like this", "0 apps").await;
        // It is live here, too.
        search(&mut page, "shop", "1 app").await;
        let mut held = mesh
            .request("GET", &shop.host(), "/hold")
            .start()
            .await
            .unwrap();
        page.until("document.querySelectorAll('#apps .app:first-child .l4').length === 1")
            .await;
        for dyno in &dynos {
            dyno.release().await;
        }
        assert_eq!(held.response().await.unwrap().status(), 200);
        page.until(FITS).await;
        assert_eq!(page.complaints(), [""; 0]);
        drop(page);
        mesh.finish().await;
    });
}

mod crowd;
