{
  base = "full";
  message = "listens on the WireGuard address";
  change =
    { lib, ... }:
    {
      services.hlhft.wireguard.enable = lib.mkForce false;
    };
}
