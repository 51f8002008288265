//! Connections by way of the proxy.

use veracity_servers::{Proxy, Server, When, mariadb, postgres};

fn proxied() -> Vec<(&'static Server, Proxy, String, String)> {
    let servers = [postgres().unwrap(), mariadb().unwrap()];
    servers
        .map(|server| {
            let proxy = Proxy::to(server.address()).unwrap();
            let direct = server.fresh_database().unwrap();
            server
                .execute_at(&direct, "create table t (a int primary key)")
                .unwrap();
            let url = proxy.url(&direct);
            assert_ne!(url, direct);
            (server, proxy, direct, url)
        })
        .into()
}

#[test]
fn what_is_cut_before_the_commit_is_not_there() {
    for (server, proxy, direct, url) in proxied() {
        proxy.cut_at("COMMIT", When::Before);
        let failed = begin_insert_commit(server, &url, 1);
        assert!(failed.is_err(), "{}", server.kind());
        assert_eq!(proxy.cuts(), 1);
        begin_insert_commit(server, &direct, 1).unwrap();
        begin_insert_commit(server, &url, 2).unwrap();
    }
}

#[test]
fn what_is_cut_after_the_commit_is_there() {
    for (server, proxy, direct, url) in proxied() {
        proxy.cut_at("commit", When::Answered);
        let failed = begin_insert_commit(server, &url, 1);
        assert!(failed.is_err(), "{}", server.kind());
        let twice = begin_insert_commit(server, &direct, 1).unwrap_err();
        assert!(twice.to_lowercase().contains("duplicate"), "{twice}");
    }
}

#[test]
fn connections_are_refused_and_cut_on_demand() {
    for (server, proxy, _, url) in proxied() {
        proxy.refuse(true);
        assert!(server.execute_at(&url, "select 1").is_err());
        proxy.refuse(false);
        server.execute_at(&url, "select 1").unwrap();
        proxy.cut_after(10);
        assert!(server.execute_at(&url, "select 1").is_err());
        server.execute_at(&url, "select 1").unwrap();
    }
}

fn begin_insert_commit(server: &Server, url: &str, value: i32) -> Result<(), String> {
    let sql = format!("begin; insert into t values ({value}); commit");
    server.execute_at(url, &sql)
}
