//! What a mapping is as a resource: its versions, its revision, and who may do what.

use model::{AccountNumber, Role};
use proto::apitoken::v1::ListApiTokensRequest;
use proto::mapping::v1 as wire;
use proto::mapping::v1::test_mapping_request::Mapping as Tried;
use tonic::{Code, Status};

use super::{WEB, client, delete, get, name, parent, put, try_put};
use crate::grpc::token_client;
use crate::harness::{self, ADMIN_TOKEN};

#[tokio::test]
async fn versions_are_read_and_listed() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let mut client = client(service, &token).await;
    for n in 1..=3 {
        let version = put(&mut client, account, &WEB.replace("city", &format!("city AS c{n}"))).await;
        assert_eq!(version.version, n);
    }
    let name = name(account, "web");
    let request = wire::ListMappingVersionsRequest { name: name.clone() };
    let versions = client
        .list_mapping_versions(request)
        .await
        .unwrap()
        .into_inner()
        .mappings;
    let numbers: Vec<_> = versions.iter().map(|mapping| mapping.version).collect();
    assert_eq!(numbers, [3, 2, 1]);
    assert!(get(&mut client, &name, Some(2)).await.unwrap().lql.contains("c2"));
    assert_eq!(
        get(&mut client, &name, Some(4)).await.unwrap_err().code(),
        Code::NotFound
    );
    let live = get(&mut client, &name, None).await.unwrap();
    assert_eq!(
        put(&mut client, account, &live.lql).await,
        live,
        "the same again is no new version"
    );

    put(&mut client, account, &WEB.replace("web", "shop")).await;
    let mut list = wire::ListMappingsRequest {
        parent: parent(account),
        page_size: 1,
        ..Default::default()
    };
    let page = client.list_mappings(list.clone()).await.unwrap().into_inner();
    assert_eq!(page.mappings[0].stream, "shop");
    list.page_token = page.next_page_token;
    let last = client.list_mappings(list).await.unwrap().into_inner();
    assert_eq!((last.mappings, last.next_page_token.as_str()), (vec![live], ""));
    // What ships with the service can be read as a beginning.
    let built_in = self::name(account, "braze_users");
    assert!(
        get(&mut client, &built_in, Some(0))
            .await
            .unwrap()
            .lql
            .contains("twitter_handle")
    );
    assert_eq!(
        get(&mut client, &built_in, None).await.unwrap_err().code(),
        Code::NotFound
    );
}

#[tokio::test]
async fn an_edit_of_a_stale_revision_is_aborted() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let mut client = client(service, &token).await;
    let first = try_put(&mut client, account, WEB, Some(0)).await.unwrap();
    let changed = WEB.replace("city", "city AS town");
    let code = |result: Result<wire::Mapping, Status>| result.unwrap_err().code();
    assert_eq!(
        code(try_put(&mut client, account, &changed, Some(0)).await),
        Code::Aborted
    );
    let second = try_put(&mut client, account, &changed, Some(first.revision))
        .await
        .unwrap();
    assert_eq!(
        code(try_put(&mut client, account, WEB, Some(first.revision)).await),
        Code::Aborted
    );
    let stale = delete(&mut client, &first.name, Some(first.revision))
        .await
        .unwrap_err();
    assert_eq!(stale.code(), Code::Aborted);
    assert!(
        stale.message().contains(&format!("is at revision {}", second.revision)),
        "{stale}"
    );
    assert_eq!(get(&mut client, &first.name, None).await.unwrap(), second);
    delete(&mut client, &first.name, Some(second.revision)).await.unwrap();
    let another = try_put(&mut client, account, &WEB.replace("ALIAS web", "ALIAS other"), None).await;
    another.unwrap();
    let taken = try_put(&mut client, account, WEB, None).await.unwrap_err();
    assert_eq!(taken.code(), Code::AlreadyExists, "{taken}");
}

#[tokio::test]
async fn whoever_may_read_may_not_write_and_nobody_sees_another_account() {
    let service = harness::shared().await;
    let (account, manager) = service.sender().await;
    let (_, others) = service.sender().await;
    let observer = service.token(account, Role::Observer, None).await;
    let writer = service.token(account, Role::DataWrite, None).await;
    put(&mut client(service, ADMIN_TOKEN).await, account, WEB).await;
    let (denied, ok, missing) = (Code::PermissionDenied, Code::Ok, Code::NotFound);
    for (token, reads, writes, gets_missing) in [
        (
            "nonsense",
            Code::Unauthenticated,
            Code::Unauthenticated,
            Code::Unauthenticated,
        ),
        (writer.as_str(), denied, denied, denied),
        (others.as_str(), denied, denied, denied),
        (observer.as_str(), ok, denied, missing),
        (manager.as_str(), ok, ok, missing),
    ] {
        let mut client = client(service, token).await;
        let parent = parent(account);
        let (web, shadow) = (name(account, "web"), format!("accounts/{account}/shadows/none"));
        let lql = || WEB.to_owned();
        let tried = Some(Tried::Lql(lql()));
        let code = |result: Result<(), Status>| result.map_or_else(|status| status.code(), |()| ok);
        let page = |parent: &str| (parent.to_owned(), 0, String::new());
        let (list_parent, page_size, page_token) = page(&parent);
        let list = wire::ListMappingsRequest {
            parent: list_parent,
            page_size,
            page_token,
        };
        let (list_parent, page_size, page_token) = page(&parent);
        let shadows = wire::ListShadowsRequest {
            parent: list_parent,
            page_size,
            page_token,
        };
        let versions = wire::ListMappingVersionsRequest { name: web.clone() };
        let validate = wire::ValidateMappingRequest {
            parent: parent.clone(),
            lql: lql(),
        };
        let test = wire::TestMappingRequest {
            parent: parent.clone(),
            mapping: tried,
            record: "{}".into(),
            ..Default::default()
        };
        let read = [
            code(get(&mut client, &web, None).await.map(drop)),
            code(client.list_mappings(list).await.map(drop)),
            code(client.list_mapping_versions(versions).await.map(drop)),
            code(client.validate_mapping(validate).await.map(drop)),
            code(client.test_mapping(test).await.map(drop)),
            code(client.list_shadows(shadows).await.map(drop)),
        ];
        assert_eq!(read, [reads; 6], "{token}");
        let get_shadow = wire::GetShadowRequest { name: shadow.clone() };
        assert_eq!(
            code(client.get_shadow(get_shadow).await.map(drop)),
            gets_missing,
            "{token}"
        );
        let candidate = wire::PutShadowRequest {
            parent: parent.clone(),
            lql: lql(),
            if_revision: None,
        };
        let delete_shadow = wire::DeleteShadowRequest {
            name: format!("accounts/{account}/shadows/web"),
            if_revision: None,
        };
        let wrote = [
            code(try_put(&mut client, account, WEB, None).await.map(drop)),
            code(client.put_shadow(candidate).await.map(drop)),
            code(client.delete_shadow(delete_shadow).await.map(drop)),
            code(delete(&mut client, &web, None).await),
        ];
        assert_eq!(wrote, [writes; 4], "{token}");
    }
    let mut client = client(service, &manager).await;
    let bad_name = get(&mut client, "web", None).await.unwrap_err();
    assert!(
        bad_name.code() == Code::InvalidArgument && bad_name.message().starts_with("name: "),
        "{bad_name}"
    );
    let nobody = AccountNumber::new(999_999_999).unwrap();
    let mut admin = self::client(service, ADMIN_TOKEN).await;
    assert_eq!(
        try_put(&mut admin, nobody, WEB, None).await.unwrap_err().code(),
        Code::NotFound
    );
}

#[tokio::test]
async fn a_page_token_is_refused_by_every_list_but_the_one_that_gave_it() {
    let service = harness::shared().await;
    let ((account, _), (other, _)) = (service.sender().await, service.sender().await);
    let mut client = client(service, ADMIN_TOKEN).await;
    for lql in [WEB, &WEB.replace("web", "shop")] {
        put(&mut client, account, lql).await;
    }
    service.token(account, Role::Observer, None).await;
    let mappings = |parent: String, page_token: &str| wire::ListMappingsRequest {
        parent,
        page_size: 1,
        page_token: page_token.to_owned(),
    };
    let listed = client.list_mappings(mappings(parent(account), "")).await.unwrap();
    let of_mappings = listed.into_inner().next_page_token;
    let shadows = wire::ListShadowsRequest {
        parent: parent(account),
        page_size: 1,
        page_token: of_mappings.clone(),
    };
    let mut tokens = token_client(service, Some(ADMIN_TOKEN)).await;
    let api_tokens = |page_token: &str| ListApiTokensRequest {
        parent: parent(account),
        page_size: 1,
        page_token: page_token.to_owned(),
    };
    let of_tokens = tokens.list_api_tokens(api_tokens("")).await.unwrap().into_inner();
    assert_ne!((of_mappings.as_str(), of_tokens.next_page_token.as_str()), ("", ""));
    for refused in [
        client.list_shadows(shadows).await.map(drop),
        client
            .list_mappings(mappings(parent(other), &of_mappings))
            .await
            .map(drop),
        client
            .list_mappings(mappings(parent(account), &of_tokens.next_page_token))
            .await
            .map(drop),
        tokens.list_api_tokens(api_tokens(&of_mappings)).await.map(drop),
    ] {
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
        assert!(refused.message().contains("page_token"), "{refused}");
    }
    assert!(
        client
            .list_mappings(mappings(parent(account), &of_mappings))
            .await
            .is_ok()
    );
    assert!(
        tokens
            .list_api_tokens(api_tokens(&of_tokens.next_page_token))
            .await
            .is_ok()
    );
}
