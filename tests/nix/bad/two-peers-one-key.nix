{
  base = "full";
  message = "two peers have one key";
  change =
    { lib, ... }:
    {
      services.hlhft.wireguard.peers.operator.publicKey = lib.mkForce "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=";
    };
}
