{
  base = "watchtower";
  message = "a watchtower has no engine's key";
  change =
    { lib, ... }:
    {
      services.hlhft.settings.account.address = lib.mkForce "";
    };
}
