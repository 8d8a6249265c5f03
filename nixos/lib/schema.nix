# Options of NixOS made of the settings' own JSON Schema: the same names, types, bounds, defaults and meaning. What a
# regular expression of POSIX cannot say (look-ahead, \s, \0) the program itself checks when it starts.
{ lib, schema }:
let
  inherit (lib) types;

  definition = reference: schema."$defs".${lib.removePrefix "#/$defs/" reference};

  within =
    property: value:
    (lib.isInt value || lib.isFloat value)
    && (!(property ? minimum) || value >= property.minimum)
    && (!(property ? maximum) || value <= property.maximum)
    && (!(property ? exclusiveMinimum) || value > property.exclusiveMinimum);

  long =
    property: value:
    lib.isString value
    && (!(property ? minLength) || lib.stringLength value >= property.minLength)
    && (!(property ? maxLength) || lib.stringLength value <= property.maxLength)
    && (
      !(property ? pattern)
      || lib.hasInfix "\\" property.pattern
      || lib.hasInfix "(?" property.pattern
      || builtins.match property.pattern value != null
    );

  many =
    property: value:
    lib.isList value && (!(property ? maxItems) || lib.length value <= property.maxItems);

  typeOf =
    property:
    if property ? anyOf then
      types.nullOr (typeOf (lib.head (lib.filter (one: one.type or "" != "null") property.anyOf)))
    else if property ? enum then
      types.enum property.enum
    else
      {
        boolean = types.bool;
        integer = types.addCheck types.int (within property);
        number = types.addCheck types.number (within property);
        string = types.addCheck types.str (long property);
        array = types.addCheck (types.listOf (typeOf property.items)) (many property);
        object = types.attrsOf (typeOf property.additionalProperties);
      }
      .${property.type};

  optionOf =
    property:
    if property ? "$ref" then
      optionsOf (definition property."$ref")
    else
      lib.mkOption {
        type = typeOf property;
        inherit (property) default description;
      };

  optionsOf = section: lib.mapAttrs (_: optionOf) section.properties;
in
optionsOf (definition schema."$ref")
