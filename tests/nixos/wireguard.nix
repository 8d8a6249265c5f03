# Keys of tests' WireGuard peers. Everybody has them: nothing else may ever know them as a peer.
{
  trader = {
    address = "10.100.0.1";
    own = "vtZJAkZT6t0713f+pJfJrejT4TliEsn9ZN9EcxulcBo=";
    publicKey = "7Nxww9oHGBS1Pff0/lo9xoa8tTvC+gXufgnjAI8drW8=";
  };
  operator = {
    address = "10.100.0.10";
    own = "QulO3Qp4lSCSIwIFKtrzE77LBVwS6Xc9rzD+TGIhIAg=";
    publicKey = "d8tAjUOJhRLO757RFIqy2vJCCAspLBneU2s98zVmSiA=";
  };
  watchtower = {
    address = "10.100.0.2";
    own = "XctEibtPy7WiUN5CFm0/QZkAZCy4CDejxEL8olWS9p8=";
    publicKey = "wj3atPJAyz7LSel4vK3JZurDY9/CoUy+GBTe/a2geRU=";
  };
}
