{
  base = "watchtower";
  message = "leaves no way in";
  change =
    { lib, ... }:
    {
      services.hlhft.wireguard.enable = lib.mkForce false;
    };
}
