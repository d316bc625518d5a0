//! Jobs that send membership as purchases: as events, but that each value is a constant or the profile's own.

use braze_sim::{Happening, UserRef};
use control::{AudienceEvents, Coalesce, NewExportJob, Options, Purchases, Source, Writes};
use serde_json::{Value, json};

use super::rig::{Rig, job, until};

/// A purchase of `upgrade` for whoever enters, at the price in `price`.
fn purchases(audience: &str) -> NewExportJob {
    NewExportJob {
        label: format!("{audience} as purchases"),
        coalesce: Coalesce::EveryEdge,
        events: AudienceEvents::Enters,
        options: Options {
            writes: Writes::Purchases(Box::new(Purchases {
                product_id: Source::Constant("upgrade".to_owned()),
                price: Source::Field("price".to_owned()),
                currency: Source::Constant("eur".to_owned()),
                quantity: Source::Field("many".to_owned()),
                time_field: Some("since".to_owned()),
            })),
            ..Options::default()
        },
        ..job(audience)
    }
}

fn bought(rig: &Rig, external_id: &str) -> Vec<Happening> {
    let user = rig.sim.user("default", &UserRef::external_id(external_id));
    user.map(|user| user.purchases).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enter_is_a_purchase_beside_the_attribute_and_whoever_has_no_price_is_omitted_with_the_reason() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let pairs = |job: NewExportJob| NewExportJob {
        flush_after: std::time::Duration::from_secs(300),
        batch_updates_max: 2,
        ..job
    };
    let attribute = rig.create(pairs(job("vip"))).await;
    let purchases = rig.create(pairs(purchases("vip"))).await;
    engine.until(&attribute, |_| true).await;
    engine.until(&purchases, |_| true).await;
    let fields = [
        ("user_id", "cust-1"),
        ("price", "9.50"),
        ("many", "2"),
        ("since", "2026-01-31"),
    ];
    rig.enter("vip", "1", &fields).await;
    engine.settled(&purchases, (1, 0, 0, 0)).await;
    engine.settled(&attribute, (1, 0, 0, 0)).await;
    assert_eq!(rig.objects(), [2], "one request");
    rig.until_slugs("cust-1", &["vip"]).await;
    let is_bought = || bought(&rig, "cust-1").len() == 1;
    until(is_bought, || format!("{:?}", bought(&rig, "cust-1"))).await;
    let body: Value = serde_json::from_str(&rig.sim.journal()[0].body).unwrap();
    assert_eq!(
        body["purchases"],
        json!([{
            "external_id": "cust-1", "product_id": "upgrade", "currency": "EUR", "price": 9.5, "quantity": 2,
            "time": "2026-01-31T00:00:00Z", "properties": {"audience": "vip", "action": "entered"},
        }])
    );
    assert_eq!(
        (rig.sim.meter("default").purchases, rig.sim.meter("default").data_points),
        (1, 2)
    );
    // No price, and a leave: neither is a purchase, and the attribute has both.
    rig.enter("vip", "2", &[("user_id", "cust-2"), ("many", "1")]).await;
    rig.exit("vip", "1", &fields).await;
    engine.settled(&purchases, (1, 0, 2, 0)).await;
    engine.settled(&attribute, (2, 1, 0, 0)).await;
    let kept = rig.rejected().await;
    let kept: Vec<_> = kept
        .iter()
        .map(|kept| (kept.job.clone(), kept.reason.as_str(), kept.detail.as_str()))
        .collect();
    let detail = "a price is a number, such as 9.50, and the change has none in price";
    assert_eq!(kept, [(purchases.name(), "no_purchase", detail)]);
    engine.drain().await;
}
