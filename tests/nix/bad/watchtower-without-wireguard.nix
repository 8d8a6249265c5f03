{
  base = "watchtower";
  message = "hears the engine over WireGuard";
  change =
    { lib, ... }:
    {
      services.hlhft.wireguard.enable = lib.mkForce false;
    };
}
