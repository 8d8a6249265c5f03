{
  base = "full";
  message = "settings.account.network";
  option = [
    "services"
    "hlhft"
    "settings"
    "account"
    "network"
  ];
  change =
    { lib, ... }:
    {
      services.hlhft.settings.account.network = lib.mkForce "devnet";
    };
}
