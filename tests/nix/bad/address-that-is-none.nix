{
  base = "full";
  message = "settings.account.address";
  option = [
    "services"
    "hlhft"
    "settings"
    "account"
    "address"
  ];
  change =
    { lib, ... }:
    {
      services.hlhft.settings.account.address = lib.mkForce "0x12";
    };
}
