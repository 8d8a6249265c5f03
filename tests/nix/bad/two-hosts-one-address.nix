{
  base = "full";
  message = "two hosts have one address";
  change =
    { lib, ... }:
    {
      services.hlhft.wireguard.peers.operator.address = lib.mkForce "10.100.0.1";
    };
}
