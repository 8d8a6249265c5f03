{
  base = "full";
  message = "has no peer with isAdmin";
  change =
    { lib, ... }:
    {
      services.hlhft.wireguard.peers.operator.isAdmin = lib.mkForce false;
    };
}
