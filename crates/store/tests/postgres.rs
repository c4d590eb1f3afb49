//! The store on PostgreSQL, on a server of the tests' own.

mod support;

use support::postgres::Cluster;

#[tokio::test]
async fn a_server_of_our_own() {
    let url = Cluster::shared().database().await;
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let row = client.query_one("SELECT 41 + 1", &[]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 42);
}
